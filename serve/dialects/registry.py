"""Which dialects there are, and what carries calls between any two of them."""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from urllib.parse import quote

from router.lane import Capability
from serve.dialects.anthropic.caller import MessagesCaller
from serve.dialects.anthropic.native import NativeMessages
from serve.dialects.anthropic.upstream import MessagesUpstream
from serve.dialects.bedrock.upstream import ConverseUpstream
from serve.dialects.embeddings.native import NativeEmbeddings
from serve.dialects.exchange import Exchange
from serve.dialects.gemini.upstream import GeminiUpstream
from serve.dialects.openai.caller import ChatCaller
from serve.dialects.openai.native import NativeChat
from serve.dialects.openai.upstream import ChatUpstream
from serve.dialects.quirks import Quirks
from serve.dialects.responses.caller import ResponsesCaller
from serve.dialects.responses.native import NativeResponses
from serve.dialects.thoughts import THOUGHTS_OF_VENDOR
from serve.dialects.translation import CallerDialect, Translation, UpstreamDialect

EMBEDDINGS = "embeddings"
"""A dialect of its own: its lanes answer nothing else."""
NATIVE: dict[str, Exchange] = {
    "openai": NativeChat(),
    "anthropic": NativeMessages(),
    "responses": NativeResponses(),
    EMBEDDINGS: NativeEmbeddings(),
}
CALLERS: dict[str, CallerDialect] = {
    "openai": ChatCaller(),
    "anthropic": MessagesCaller(),
    "responses": ResponsesCaller(),
}
UPSTREAMS: dict[str, UpstreamDialect] = {
    "openai": ChatUpstream(),
    "anthropic": MessagesUpstream(),
    "gemini": GeminiUpstream(),
    "bedrock": ConverseUpstream(),
}
SPOKEN_DIALECTS = frozenset(UPSTREAMS)
_PATHS = {
    "openai": ("/chat/completions", "/chat/completions"),
    "anthropic": ("/messages", "/messages"),
    "responses": ("/responses", "/responses"),
    EMBEDDINGS: ("/embeddings", "/embeddings"),
    "gemini": ("/models/{model}:generateContent", "/models/{model}:streamGenerateContent?alt=sse"),
    "bedrock": ("/model/{model}/converse", "/model/{model}/converse-stream"),
}
"""Below the base URL: where a provider answers, and where it streams."""
DIALECT_HEADERS = {"anthropic": {"anthropic-version": "2023-06-01"}}
"""Sent with every call of a dialect."""
KEY_HEADERS = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""Where the key stands, when it is not a bearer token."""
_NOT_IN_DIALECT = {
    "openai": frozenset({"top_k"}),
    "anthropic": frozenset({"seed", "frequency_penalty", "presence_penalty"}),
    "gemini": frozenset[str](),
    "bedrock": frozenset({"seed", "frequency_penalty", "presence_penalty"}),
}
"""Parameters of a request that the dialect has no word for."""
_OWN_CAPABILITIES = {
    "openai": Capability.CHAT_DIALECT | Capability.MEDIA_URLS,
    "anthropic": Capability.MESSAGES_DIALECT | Capability.MEDIA_URLS,
    "responses": Capability.RESPONSES_DIALECT | Capability.MEDIA_URLS,
    "gemini": Capability.JSON_OBJECT,
    "bedrock": Capability.NONE,
}


@cache
def exchange_between(caller: str, upstream: str) -> Exchange:
    """Return what carries calls from a caller's dialect to a provider's."""
    if caller == upstream and caller in NATIVE:
        return NATIVE[caller]
    return Translation(CALLERS[caller], UPSTREAMS[upstream])


def endpoint_urls(
    dialect: str, base_url: str, upstream_model: str, paths: Mapping[str, tuple[str, str]] = MappingProxyType({})
) -> tuple[str, str]:
    """Return where a provider of this dialect answers, and where it streams; `paths` are its own, where it has them."""
    whole, stream = (
        path.format(model=quote(upstream_model, safe="")) for path in paths.get(dialect) or _PATHS[dialect]
    )
    root = base_url.rstrip("/")
    return root + whole, root + stream


def parameters_refused_by(dialect: str, quirks: Quirks) -> frozenset[str]:
    """Return the sampling parameters that never reach a provider: its dialect has no word for them, or it answers them with an error."""
    return (_NOT_IN_DIALECT[dialect] - quirks.extra_parameters) | quirks.dropped_parameters


def capabilities_of_dialects(dialects: Iterable[str], vendor_model: str, quirks: Quirks) -> Capability:
    """Return what a lane can do because of the dialects it speaks, whatever the model can do."""
    vendor = vendor_model.partition("/")[0]
    capabilities = Capability.NONE
    for dialect in dialects:
        capabilities |= _OWN_CAPABILITIES[dialect]
        if dialect != "openai" or quirks.keeps_reasoning_details:  # chat completions leave proofs of thoughts out
            capabilities |= THOUGHTS_OF_VENDOR.get(vendor, Capability.NONE)
    return capabilities
