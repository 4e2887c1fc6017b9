"""Reads the end of a conversation, as far as checks need it: last question, previous answer, schema, tools."""

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
class ConversationEnd:
    """The end of a conversation.

    Args:
        question: Last message of the user; None: the conversation does not end with one.
        is_tool_result: Whether it ends with the result of a tool.
        previous_answer: Assistant's message before that, as the caller sends it; None: there is none.
        wants_json: Whether the answer must be JSON.
        schema: Schema that the answer must fit; None: any object.
    """

    question: str | None
    is_tool_result: bool
    previous_answer: str | None
    wants_json: bool
    schema: Mapping[str, Any] | None


def read_conversation_end(inquiry: Inquiry) -> ConversationEnd | None:
    """Return the end of a conversation; None: it cannot be read. Only the last messages are read, to save time."""
    if (plain := _read_plain(inquiry)) is not None:
        return plain
    request = _read_end(inquiry)
    if request is None or not request.turns:
        return None
    last = request.turns[-1]
    is_tool_result = any(isinstance(part, ToolResultPart) for part in last.parts)
    is_question = last.role == "user" and not is_tool_result
    previous = request.turns[-2] if len(request.turns) > 1 and request.turns[-2].role == "assistant" else None
    return ConversationEnd(
        question=(joined_text(last.parts).strip() or None) if is_question else None,
        is_tool_result=is_tool_result,
        previous_answer=(joined_text(previous.parts) or None) if previous is not None else None,
        wants_json=request.output_format is not None,
        schema=request.output_format.schema if request.output_format is not None else None,
    )


def read_tools(inquiry: Inquiry) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the schema of each offered tool's parameters; None: they cannot be read."""
    try:
        return {
            tool.name: tool.parameters
            for tool in inquiry.read_neutral(_shortened(inquiry, is_without_tools=False)).tools
        }
    except BadRequestError:
        return None


def _read_plain(inquiry: Inquiry) -> ConversationEnd | None:
    """Return the end of a conversation of plain texts that wants no JSON, ten times as fast; None: it is not plain."""
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
    return ConversationEnd(question.strip() or None, False, answer, False, None)


def _read_end(inquiry: Inquiry) -> NeutralRequest | None:
    for body in (
        _shortened(inquiry, is_without_tools=True),
        inquiry.body,
    ):  # the result of a tool may be unreadable alone
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
