"""Which ids of the packages are chat models: text goes in and text comes out, through a provider's chat endpoint.

The packages say it for some models only, so the words of an id decide too. The tests try the rules on every id of
genai-prices.
"""

import re
from typing import Final

from serve.catalogue.model_facts import ModelFacts

_OTHER_KINDS: Final = {
    "vectors": r"embed|embedding|embeddings|e5|bge|voyage",
    "ranking": r"rerank|reranker|rerankqa",
    "sound": (
        r"asr|audio|lyria|music|orpheus|realtime|sonic|speech|stt|transcribe|transcription|tts|voice|whisper"
        r"|live(?=-)|live$"
    ),
    "pictures": r"banana|dall|flux|image|imagen|images|sdxl|sora|veo|video",
    "checks": r"content-safety|guard|guardrail|moderation|prompt-guard|safeguard",
    "documents": r"\w*ocr",
    "tools": r"computer-use|deep-research|decider|search-api|search-preview|pro-search|relace-search",
    "completions": r"ada|babbage|base|curie|davinci|gpt-3\.5-turbo-instruct|llemma|text-davinci",
    "tuned": r"ft",
}
_WORDS: Final = re.compile(
    r"(?:^|[-/.:_@])(?:" + "|".join(_OTHER_KINDS.values()) + r")(?=$|[-/.:_@\d])|gpt-4o-mini-[\d-]+\.ft", re.IGNORECASE
)
_UNTUNED: Final = re.compile(
    r"/(?:codegemma|gemma|llama-\d(?:\.\d)?|mistral|mixtral|olmo|qwen1\.5|yi)"
    r"-(?:\d+x)?[\d.]+b(?:-v0\.\d)?(?::\w+)?$|/phi-[12](?:\.5)?$",
    re.IGNORECASE,
)
"""Weights before any tuning for chats: these families name tuned weights `instruct`, `chat` or `it`."""
_NO_MODEL: Final = re.compile(r":batch$|^[^/]+:(?:extended|free|thinking)$")
"""Prices of batches, and variants of OpenRouter without the vendor that every id there begins with."""


def is_chat_model(model_id: str, facts: ModelFacts | None, *, speaks_responses: bool = False) -> bool:
    """Return whether an id of genai-prices is a chat model.

    Args:
        model_id: The id.
        facts: Facts that litellm lists of this model; None: it lists none.
        speaks_responses: Whether the provider speaks OpenAI's Responses, so that a model of these alone counts too.
    """
    takes_chat = facts is None or (facts.mode in (None, "chat") and facts.takes_chat)
    if not (takes_chat or (speaks_responses and needs_responses(facts))):
        return False
    return not (_WORDS.search(model_id) or _UNTUNED.search(model_id) or _NO_MODEL.search(model_id))


def needs_responses(facts: ModelFacts | None) -> bool:
    """Return whether a model is asked by OpenAI's Responses alone; None: nothing is known, so it is not."""
    return facts is not None and facts.mode == "responses" and not facts.takes_chat
