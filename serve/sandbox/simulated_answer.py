"""The sandbox's answers: the same words for the same prompt, and the first words say that they are simulated."""

import hashlib

import msgspec
from msgspec import Struct

from serve.dialects.openai.chat_request import ChatRequest
from serve.dialects.openai.conversation import route_context

_CREATED = 1_700_000_000
_FILLER = [
    "Add",
    "a",
    "provider",
    "key,",
    "for",
    "instance",
    "OPENAI_API_KEY",
    "or",
    "GROQ_API_KEY,",
    "to",
    "the",
    "environment",
    "and",
    "start",
    "again,",
    "and",
    "real",
    "models",
    "will",
    "answer",
    "here.",
    "Until",
    "then",
    "every",
    "word",
    "is",
    "made",
    "up,",
    "while",
    "the",
    "routing,",
    "the",
    "prices,",
    "the",
    "streaming",
    "and",
    "the",
    "accounting",
    "are",
    "the",
    "real",
    "thing.",
    "",
]
_SHORTEST_TOKENS = 40
_SPREAD_TOKENS = 80


class SimulatedAnswer(Struct, frozen=True):
    """A whole simulated answer, before it is written as JSON or as a stream.

    Args:
        answer_id: Id of the answer, derived from the request.
        upstream_model: Name of the lane that was asked.
        words: Words of the answer, each with its space; a word is one token.
        prompt_tokens: Estimated tokens of the prompt.
        finish_reason: `length` if `max_tokens` cut the answer, else `stop`.
    """

    answer_id: str
    upstream_model: str
    words: list[str]
    prompt_tokens: int
    finish_reason: str

    @property
    def usage(self) -> dict[str, int]:
        """The usage block."""
        completion = len(self.words)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        }

    def completion(self) -> bytes:
        """Return the unstreamed response body."""
        message = {"role": "assistant", "content": "".join(self.words)}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return msgspec.json.encode({**self._head("chat.completion"), "choices": [choice], "usage": self.usage})

    def first_chunk(self) -> bytes:
        """Return the event that opens the stream."""
        return self._event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])

    def word_chunk(self, word: str) -> bytes:
        """Return the event that carries one token."""
        return self._event([{"index": 0, "delta": {"content": word}, "finish_reason": None}])

    def last_chunks(self, with_usage: bool) -> bytes:
        """Return the events that end the stream."""
        end = self._event([{"index": 0, "delta": {}, "finish_reason": self.finish_reason}])
        usage = self._event([], self.usage) if with_usage else b""
        return end + usage + b"data: [DONE]\n\n"

    def _head(self, kind: str) -> dict[str, object]:
        return {"id": self.answer_id, "object": kind, "created": _CREATED, "model": f"sandbox/{self.upstream_model}"}

    def _event(self, choices: list[object], usage: dict[str, int] | None = None) -> bytes:
        body = {**self._head("chat.completion.chunk"), "choices": choices}
        if usage is not None:
            body["usage"] = usage
        return b"data: " + msgspec.json.encode(body) + b"\n\n"


def simulate_answer(raw: bytes) -> tuple[SimulatedAnswer, ChatRequest]:
    """Return the answer to a chat request, and the typed request."""
    request = msgspec.json.decode(raw, type=ChatRequest)
    context = route_context(request, msgspec.json.decode(raw))
    digest = hashlib.sha256(f"{request.model}\n{context.text}".encode(errors="replace")).digest()
    n_words = _SHORTEST_TOKENS + int.from_bytes(digest[:4]) % _SPREAD_TOKENS
    opening = f"[sandbox/{request.model}] This answer is simulated: no language model was asked. ".split(" ")
    words = [f"{word} " for word in (opening + _FILLER * 4) if word][:n_words]
    limit = request.max_completion_tokens or request.max_tokens or n_words
    reason = "length" if limit < n_words else "stop"
    return SimulatedAnswer(
        f"chatcmpl-sandbox-{digest[4:12].hex()}", request.model, words[:limit], context.prompt_tokens, reason
    ), request
