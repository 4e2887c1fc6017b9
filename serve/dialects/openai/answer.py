"""A whole chat completion: the fields that we read, and the body for the caller with the cost in its usage."""

from dataclasses import dataclass
from typing import Any

import msgspec

from router.price_table import TokenUsage
from serve.dialects.exchange import Bill
from serve.dialects.lenient import as_text, content_pieces, words_of
from serve.dialects.openai.usage import Usage, read_usage, usage_with_cost
from serve.dialects.usage_estimate import estimate_usage


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A whole answer.

    Args:
        raw_body: The provider's JSON.
        usage: Tokens; estimated if the provider sent none.
        finish_reason: Finish reason of the first choice.
        text: Text of the first choice. None: it has none (a tool call, say).
    """

    raw_body: dict[str, Any]
    usage: TokenUsage
    finish_reason: str | None
    text: str | None

    def body(self, bill: Bill) -> dict[str, Any]:
        """Return the provider's JSON with the cost in its usage."""
        body = self.raw_body
        body["usage"] = usage_with_cost(body.get("usage"), self.usage, bill.cost)
        if bill.explanation is not None:
            body["llmdeal"] = bill.explanation
        return body


def parse_answer(raw: bytes, prompt_tokens: int, *, is_reasoning_outside: bool = False) -> ChatAnswer:
    """Read an answer.

    Args:
        raw: Body of the response.
        prompt_tokens: Our estimate of the prompt's tokens, for a provider that sends no usage.
        is_reasoning_outside: Whether the provider counts reasoning in addition to `completion_tokens`.

    Raises:
        ValueError: The body is not a chat completion, or it is an error.
    """
    try:
        body = msgspec.json.decode(raw)
        first = body["choices"][0]
        message = first.get("message") or {}
        block = msgspec.convert(body.get("usage"), Usage | None)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, KeyError, AttributeError, LookupError) as error:
        raise ValueError(f"the provider's answer is not a chat completion: {type(error).__name__}") from None
    if first.get("error") or first.get("finish_reason") == "error":
        raise ValueError(f"the provider's answer is an error: {words_of(first.get('error'))}")
    if not message and not isinstance(first.get("text"), str):
        raise ValueError("the provider's answer is not a chat completion: it has no message")
    usage = read_usage(block, body.get("service_tier"), is_reasoning_outside=is_reasoning_outside)
    text = "".join(words for is_thought, words in content_pieces(message.get("content")) if not is_thought) or None
    if usage is None:
        usage = estimate_usage(prompt_tokens, len(text or "") + len(str(message.get("tool_calls") or "")))
    return ChatAnswer(body, usage, as_text(first.get("finish_reason")), text)
