"""What a request asked for, as far as checks need it: its last question, the answer before it, a schema, the tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serve.dialects.inquiry import Body, Inquiry
from serve.dialects.neutral.parts import ToolResultPart, joined_text
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.registry import DIALECTS
from serve.errors import BadRequestError

_LAST_MESSAGES = 4
_JSON_FIELDS = frozenset({"response_format", "output_config", "output_format"})
_TOOL_FIELDS = frozenset({"tools", "tool_choice", "functions", "function_call"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The end of a conversation.

    Args:
        question: The user's last words; None: the conversation does not end with them.
        is_tool_result: It ends with what a tool gave.
        previous_answer: What the assistant is said to have said just before; None: nothing.
        wants_json: The answer must be JSON.
        schema: That it must fit; None: any object.
    """

    question: str | None
    is_tool_result: bool
    previous_answer: str | None
    wants_json: bool
    schema: Mapping[str, Any] | None


def read_asked(inquiry: Inquiry) -> Asked | None:
    """Return the end of a conversation; None: it cannot be read. Only the last messages are looked at: conversations are long."""
    if (plain := _read_plain(inquiry)) is not None:
        return plain
    request = _read_end(inquiry)
    if request is None or not request.turns:
        return None
    last = request.turns[-1]
    is_tool_result = any(isinstance(part, ToolResultPart) for part in last.parts)
    is_question = last.role == "user" and not is_tool_result
    previous = request.turns[-2] if len(request.turns) > 1 and request.turns[-2].role == "assistant" else None
    return Asked(
        question=(joined_text(last.parts).strip() or None) if is_question else None,
        is_tool_result=is_tool_result,
        previous_answer=(joined_text(previous.parts) or None) if previous is not None else None,
        wants_json=request.output_format is not None,
        schema=request.output_format.schema if request.output_format is not None else None,
    )


def read_tools(inquiry: Inquiry) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the parameters' schema of each tool that was offered; None: they cannot be read."""
    try:
        return {
            tool.name: tool.parameters
            for tool in inquiry.read_neutral(_shortened(inquiry, is_without_tools=False)).tools
        }
    except BadRequestError:
        return None


def _read_plain(inquiry: Inquiry) -> Asked | None:
    """Return the end of a conversation of plain texts that wants no JSON, as most do: ten times as quickly."""
    body = inquiry.body
    messages = body.get("messages")
    if not isinstance(messages, list) or not _JSON_FIELDS.isdisjoint(body):
        return None
    last, previous = messages[-1], messages[-2] if len(messages) > 1 else {}
    question, answer = last.get("content"), None
    if last.get("role") != "user" or not isinstance(question, str) or previous.get("role") == "user":
        return None
    if previous.get("role") == "assistant":
        answer = previous.get("content")
        if not isinstance(answer, str) or previous.get("tool_calls"):
            return None
    return Asked(question.strip() or None, False, answer, False, None)


def _read_end(inquiry: Inquiry) -> NeutralRequest | None:
    for body in (_shortened(inquiry, is_without_tools=True), inquiry.body):  # a tool's result alone can be unreadable
        try:
            return inquiry.read_neutral(body)
        except BadRequestError:
            continue
    return None


def _shortened(inquiry: Inquiry, *, is_without_tools: bool) -> Body:
    field = DIALECTS[inquiry.dialect].messages_field
    body = {name: value for name, value in inquiry.body.items() if not (is_without_tools and name in _TOOL_FIELDS)}
    if field is not None and isinstance(messages := body.get(field), list):
        body[field] = messages[-_LAST_MESSAGES:]
    return body
