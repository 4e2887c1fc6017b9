"""The beginning of an answer that a caller gives: llama.cpp repeats it in whole answers, and not in streams.

Callers get the continuation alone, both ways, as from other providers. Read from the package xllamacpp 2026.10.
"""

import re

from serve.dialects.inquiry import Body

_OF_LLAMA_CPP = re.compile(rb'"timings"\s*:\s*\{|"system_fingerprint"\s*:\s*"b\d+-')
_LISTS = ("messages", "input")


def prefill_of(body: Body) -> str | None:
    """Return the text that a request gives as the beginning of the answer. None: its last turn is not the model's."""
    turns = next((body[name] for name in _LISTS if isinstance(body.get(name), list)), None)
    last = turns[-1] if turns else None
    if not isinstance(last, dict) or last.get("role") != "assistant" or last.get("tool_calls"):
        return None
    content = last.get("content")
    if isinstance(content, list):
        pieces = [piece.get("text") for piece in content if isinstance(piece, dict)]
        content = "".join(piece for piece in pieces if isinstance(piece, str))
    return content if isinstance(content, str) and content else None


def without_prefill(text: str, body: Body, raw: bytes) -> str:
    """Return the text of a whole answer without the beginning that the caller gave.

    Args:
        text: Text of the answer.
        body: Body of the request.
        raw: Body of the answer; says whether llama.cpp sent it.
    """
    prefill = prefill_of(body)
    if prefill is None or not text.startswith(prefill) or not _OF_LLAMA_CPP.search(raw):
        return text
    return text[len(prefill) :]
