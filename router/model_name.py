"""One name for a model, `vendor/model`, whatever a host calls it.

    model_name("gpt-5-mini-2025-08-07", "openai")                      openai/gpt-5-mini
    model_name("global.anthropic.claude-sonnet-4-5-20250929-v1:0")     anthropic/claude-sonnet-4.5
    model_name("meta-llama/Llama-3.3-70B-Instruct-Turbo")              meta-llama/llama-3.3-70b-instruct
    model_name("accounts/fireworks/models/glm-5p3")                    z-ai/glm-5.3

The names are those of OpenRouter where it lists a model. The rules were read from the ids in genai-prices 0.2.3 and
litellm 1.109.1 on 2026-11-30. What a rule does not know stays as it is, in small letters. A name is its own name:
`model_name(model_name(x)) == model_name(x)`.
"""

import re
from functools import lru_cache
from typing import Final

from router.lane import EFFORTS

_VENDOR_OF: Final = {
    "ai21labs": "ai21",
    "bytedance-seed": "bytedance",
    "cohereforai": "cohere",
    "deepseek-ai": "deepseek",
    "ibm-granite": "ibm",
    "meta-models": "meta",
    "minimaxai": "minimax",
    "mistral": "mistralai",
    "moonshot": "moonshotai",
    "thudm": "z-ai",
    "xai": "x-ai",
    "zai": "z-ai",
    "zai-org": "z-ai",
    "zhipuai": "z-ai",
}
"""Other spellings of vendors."""

_VENDOR_BY_WORD: Final = (
    (r"claude", "anthropic"),
    (r"chatgpt|codex|computer-use|davinci|gpt|o\d(?=-|$)", "openai"),
    (r"codegemma|gemini|gemma|learnlm|medgemma|palm", "google"),
    (r"qvq|qwen|qwq", "qwen"),
    (r"deepseek", "deepseek"),
    (r"kimi|moonlight|moonshot", "moonshotai"),
    (r"(zai-)?glm", "z-ai"),
    (r"minimax", "minimax"),
    (r"codestral|devstral|magistral|mathstral|ministral|mistral|mixtral|pixtral|voxtral", "mistralai"),
    (r"grok", "x-ai"),
    (r"nova|titan", "amazon"),
    (r"mai-ds|phi|wizardlm", "microsoft"),
    (r"c4ai|command", "cohere"),
    (r"jamba", "ai21"),
    (r"nemotron|llama.*nemotron", "nvidia"),
    (r"muse-", "meta"),
    (r"(code|meta-)?llama", "meta-llama"),
    (r"inkling", "thinkingmachines"),
    (r"hermes|nous-", "nousresearch"),
    (r"palmyra", "writer"),
    (r"reka", "rekaai"),
    (r"yi-", "01-ai"),
    (r"granite", "ibm"),
    (r"mimo", "xiaomi"),
)
"""How a bare name of a vendor begins; it tells the vendor at hosts that serve the models of many."""

_PATHS: Final = re.compile(r"^(?:~|accounts/[^/]+/(?:models|routers)/|publishers/[^/]+/models/|models/|@cf/)+")
_BEDROCK_PLACE: Final = re.compile(r"^(?:global|regional|us|eu|apac|jp|au|us-gov)\.(?=[a-z0-9]+\.)")
_BEDROCK_VENDOR: Final = re.compile(r"^([a-z0-9]+)\.(?=[a-z])")
_VARIANT: Final = re.compile(r":(?:batch|beta|exacto|extended|floor|free|nitro|online|thinking)$")
_PACKAGING: Final = (
    re.compile(r"(?:-v?1)?:\d+$"),  # Bedrock's version of its own packaging: -v1:0, -1:0, :0
    re.compile(r"-maas$"),  # Vertex
    re.compile(r"-(?:fp8|fp4|nvfp4|bf16|int4|int8|awq|gptq|tee)(?:-tput)?$"),  # how a host stores the weights
)
_DATE: Final = re.compile(r"[-@](?:20\d{2}-\d{2}-\d{2}|20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?=-|$)")
_POINT: Final = re.compile(r"(?<=\d)p(?=\d+(?:-|$))")
_DASHED_VERSION: Final = re.compile(r"(?<![\d.])(\d)-(\d)(?=-|$)")
_LATEST: Final = re.compile(r"^(?!chatgpt)(.*\d.*)-latest$")

_RULES: Final[dict[str, tuple[tuple[re.Pattern[str], str], ...]]] = {
    vendor: tuple((re.compile(pattern), replacement) for pattern, replacement in rules)
    for vendor, rules in {
        "amazon": ((r"^(nova-[a-z0-9-]+?)(?:-v1)?$", r"\1-v1"),),
        "anthropic": (
            (r"^claude-([4-9](?:\.\d)?)-(haiku|opus|sonnet)", r"claude-\2-\1"),
            (r"-v[12]$", ""),
        ),
        "cohere": ((r"^command-a\+$", "command-a-plus"), (r"^command-a-03-2025$", "command-a")),
        "deepseek": (
            (r"^(r1|v\d)", r"deepseek-\1"),
            (r"^deepseek-chat-v", "deepseek-v"),
            (r"^deepseek-v3\.0324$", "deepseek-v3-0324"),
        ),
        "google": (
            (r"^gemini-(\w+(?:-\w+)?)-(1\.5)(?=-|$)", r"gemini-\2-\1"),  # gemini-flash-1.5
            (r"^gemini-1\.5-flash-8b-exp$", "gemini-1.5-flash-8b"),
            (r"^(gemini-1\.5-flash)-8b$", r"\1-8b"),
            (r"-00[1-9]$", ""),
            (r"^(gemini-[3-9](?:\.\d)?-(?:flash|pro|flash-lite))-preview$", r"\1"),
            (r"^(gemini-[3-9])\.0-", r"\1-"),
            (r"^gemma(?=\d)", "gemma-"),
            (r"^(gemma-[\w-]+b)$", r"\1-it"),
        ),
        "meta-llama": (
            (r"^meta-", ""),
            (r"^llama-?v?(?=\d)", "llama-"),
            (r"-(?:instruct-)?(?:instant|specdec|versatile|8192)$", "-instruct"),
            (r"-(?:instruct-turbo|instruct-lite)$", "-instruct"),
            (r"^(llama-3[\w.-]*)-chat(?:-hf)?$", r"\1-instruct"),
            (r"-chat-hf$", "-chat"),
            (r"^(llama-3\.2-\d+b)-(?:vision|text)-preview$", r"\1-vision-instruct"),
            (r"^(llama-3\.2-[13]b)-preview$", r"\1-instruct"),
            (r"^(llama-3\.2-(?:11|90)b)-instruct$", r"\1-vision-instruct"),
            (r"^(llama-3(?:\.\d)?-\d+b)$", r"\1-instruct"),
            (r"^(llama-4-(?:maverick|scout))(?:-\d+b(?:-\d+e)?)?(?:-instruct)?(?:-basic)?$", r"\1"),
        ),
        "meta": ((r"^(muse-spark-open)-\d+b-a\d+b$", r"\1"),),
        "microsoft": ((r"^(phi-4-mini)$", r"\1-instruct"),),
        "minimax": ((r"^m(?=\d)", "minimax-m"), (r"^minimax-text-01$", "minimax-01")),
        "mistralai": (
            (r"^mistral-(?:large-3-675b-instruct|large-3|3-large-2512)$", "mistral-large-2512"),
            (r"^ministral-3-(\d+b)(?:-instruct|-2512)?$", r"ministral-\1-2512"),
            (r"^devstral-2-123b$", "devstral-2512"),
            (r"^mistral-medium-2508$", "mistral-medium-3.1"),
            (r"^mistral-small-2506$", "mistral-small-3.2-24b-instruct"),
            (r"^(mistral-small-3\.[12])(?:-24b-instruct)?(?:-2503|-2506)?$", r"\1-24b-instruct"),
            (r"^mistral-nemo-(?:instruct-)?2407$", "mistral-nemo"),
            (r"^mistral-large-2-2407$", "mistral-large-2407"),
            (r"^mistral-small-(?:3|2501)$", "mistral-small-24b-instruct-2501"),
            (r"^ministral-8b-instruct-2410$", "ministral-8b-2410"),
            (r"^(mixtral-8x\d+b)(?:-instruct-v0\.1|-32768)?$", r"\1-instruct"),
        ),
        "moonshotai": ((r"^k(?=\d)", "kimi-k"), (r"^(kimi-k2)-instruct(?=-|$)", r"\1"), (r"^kimi-k2-0711$", "kimi-k2")),
        "nvidia": (
            (r"^nvidia-", ""),
            (r"^nemotron-(nano|super|ultra)-3-\d+b$", r"nemotron-3-\1"),
            (r"^(nemotron-3-(?:nano|super|ultra))-\d+b-a\d+b$", r"\1"),
            (r"^nemotron-lightning-(3\.5)-\d+b-a\d+b$", r"nemotron-\1-lightning"),
        ),
        "openai": ((r"^(gpt-3\.5-turbo)-0125$", r"\1"), (r"^gpt-4-0613$", "gpt-4")),
        "qwen": (
            (r"^qwen-?([12](?:\.\d)?)-", r"qwen-\1-"),
            (r"^qwen-([3-9])", r"qwen\1"),
            (r"^(qwen[3-9][\w.-]*)-v1$", r"\1"),
            (r"^qwen3-coder-480b(?:-a35b)?(?:-instruct)?$", "qwen3-coder"),
            (r"^qwen3-235b-a22b-(?:25-07|instruct-2507|25-07-instruct)$", "qwen3-235b-a22b-2507"),
            (r"^qwen3-coder-30b-a3b$", "qwen3-coder-30b-a3b-instruct"),
            (r"^qwen3-vl-235b-a22b$", "qwen3-vl-235b-a22b-instruct"),
        ),
        "x-ai": (
            (r"^grok-2-12-12$", "grok-2-1212"),
            (r"^grok-4-0709$", "grok-4"),
            (r"^(grok-4[\w.-]*?)(?:-0309)?-reasoning$(?<!non-reasoning)", r"\1"),
        ),
        "z-ai": ((r"^zai-", ""),),
    }.items()
}
"""Rules for the names of one vendor, applied one after the other."""


def has_variant(name: str) -> bool:
    """Return whether a name ends in a variant of OpenRouter, such as `:free`: the same model on other terms."""
    return _VARIANT.search(name) is not None


@lru_cache(maxsize=8_192)
def model_name(model_id: str, host_vendor: str = "") -> str:
    """Return the name of a model as `vendor/model`, in small letters.

    Args:
        model_id: Id at a host, or a name that a caller or a data set uses.
        host_vendor: Vendor of a bare name that tells none itself; empty: `other`.
    """
    bare = _PATHS.sub("", model_id.strip().lower())
    bare = _BEDROCK_PLACE.sub("", bare)
    vendor = ""
    if "/" in bare:
        vendor, _, bare = bare.partition("/")
        bare = bare.rpartition("/")[2]
    elif match := _BEDROCK_VENDOR.match(bare):
        vendor, bare = match[1], bare[match.end() :]
    bare = _without_packaging(bare, vendor)
    vendor = _vendor(vendor, bare) or host_vendor or "other"
    for pattern, replacement in _RULES.get(vendor, ()):
        bare = pattern.sub(replacement, bare)
    return f"{vendor}/{bare}"


def _without_packaging(bare: str, vendor: str) -> str:
    if vendor == "mistral":  # Bedrock: mistral-7b-instruct-v0:2
        bare = re.sub(r"-v0:(\d)$", r"-v0.\1", bare)
    bare = _VARIANT.sub("", bare)
    for pattern in _PACKAGING:
        bare = pattern.sub("", bare)
    bare = _DATE.sub("", bare)
    bare = _POINT.sub(".", bare)
    bare = _DASHED_VERSION.sub(lambda match: match[1] if match[2] == "0" else f"{match[1]}.{match[2]}", bare)
    bare = _LATEST.sub(r"\1", bare)
    return re.sub(r"-us$", "", bare)  # served in one country: Fireworks


def _vendor(named: str, bare: str) -> str:
    """Return the vendor of a name; empty: unknown."""
    by_word = next((vendor for word, vendor in _VENDOR_BY_WORD if re.match(word, bare)), "")
    if named in ("", "meta", "meta-llama"):  # Meta's own name, and Llama's at Hugging Face, are used for each other
        return by_word or named
    return _VENDOR_OF.get(named, named)


def plain_name(name: str) -> str:
    """Return the plain form of a name in a bundle or in a file of graded answers; an effort stays: `openai/o3@high`."""
    model, at, effort = name.rpartition("@")
    return f"{model_name(model)}@{effort}" if at and effort in EFFORTS else model_name(name)
