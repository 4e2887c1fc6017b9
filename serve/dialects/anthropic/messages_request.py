"""A Messages request, validated once at the door. Only the fields that routing needs are typed."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from router.effort import OTHER_EFFORT, named_effort
from router.lane import Capability
from serve.dialects.anthropic import NAME
from serve.dialects.anthropic.blocks import VENDOR
from serve.dialects.anthropic.request_reader import read_request
from serve.dialects.carried_thoughts import capability_to_read
from serve.dialects.field_needs import FieldNeeds
from serve.dialects.field_table import DoorFields, fields_of
from serve.dialects.inquiry import Body, Inquiry
from serve.dialects.json_body import PositiveInt, decode_body, typed
from serve.dialects.routing_fields import RoutingFields
from serve.dialects.seen_conversation import SeenConversation
from serve.errors import BadRequestError

_CARRIED_SOURCES = frozenset({None, "base64", "url", "text"})


class _Source(Struct):
    type: str | None = None
    data: str | None = None
    media_type: str | None = None


class _Block(Struct):
    type: str = "text"
    text: str | None = None
    source: _Source | str | None = None
    content: "str | list[_Block] | dict[str, Any] | None" = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    input: Any = None


class _Message(Struct):
    role: str
    content: str | list[_Block]


class _Tool(Struct):
    type: str | None = None
    name: str | None = None


class _ToolChoice(Struct):
    name: Any = None


class _Thinking(Struct):
    type: str
    budget_tokens: Any = None


class _Format(Struct):
    type: str


class _OutputConfig(Struct):
    effort: str | None = None
    format: _Format | None = None


class MessagesRequest(RoutingFields, kw_only=True):
    """The fields of a Messages request that routing needs."""

    messages: Annotated[list[_Message], Meta(min_length=1)]
    max_tokens: PositiveInt
    system: str | list[_Block] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    stream: bool | None = None


class CountTokensRequest(MessagesRequest, kw_only=True):
    """A Messages request whose tokens are to be counted; it needs no `max_tokens`."""

    max_tokens: int | None = None  # type: ignore[assignment]  # the one field that a count leaves out


def read_messages_request(raw: bytes) -> Inquiry:
    """Read a Messages request.

    Raises:
        BadRequestError: A field is wrong; the error names it.
        TooLargeError: The text has more than `MAX_PROMPT_CHARACTERS` characters.
    """
    body = decode_body(raw)
    if body.get("thread") is not None:
        raise _thread_refused()
    return _inquiry(typed(body, MessagesRequest), body)


def _thread_refused() -> BadRequestError:
    """Return the error that Anthropic's SDKs understand: they then send the whole conversation.

    Source: the package @anthropic-ai/sdk 1.14, `unsupportedRequestBehavior`, read 2026-12-01.
    """
    error = BadRequestError(
        "thread needs state that only one provider keeps. Send the whole conversation in messages instead.",
        param="thread",
    )
    error.details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    return error


def read_count_request(raw: bytes) -> Inquiry:
    """Read a request to count tokens; see `read_messages_request`."""
    body = decode_body(raw)
    return _inquiry(typed(body, CountTokensRequest), body)


def _inquiry(request: MessagesRequest, body: Body) -> Inquiry:
    fields = fields_of(NAME)
    seen = _Seen(fields.carried_parts)
    seen.look_at(request.system)
    seen.look_at(request.messages[0].content)
    opening = seen.text()
    for message in request.messages[1:]:
        seen.look_at(message.content)
    seen.other_characters += len(str(body["tools"])) if request.tools else 0
    needs = _needs(request, body, fields)
    seen.required = _required(request, needs, seen.required)
    seen.dialect_fields = needs.binding
    seen.effort = _stated_effort(request)
    context = seen.context("messages", len(request.messages), request.max_tokens, body)
    return Inquiry(
        NAME,
        request,
        body,
        context,
        opening,
        bool(request.stream),
        read_request,
        needs,
        has_unsigned_thoughts=seen.has_unsigned_thoughts,
    )


class _Seen(SeenConversation):
    def __init__(self, carried_blocks: frozenset[str]) -> None:
        super().__init__()
        self._carried_blocks = carried_blocks
        self.has_unsigned_thoughts = False

    def look_at(self, content: str | list[_Block] | None) -> None:
        """Add the content of a message."""
        if content is None:
            return
        if isinstance(content, str):
            self.texts.append(content)
            return
        for block in content:
            self._look_at_block(block)

    def _look_at_block(self, block: _Block) -> None:
        if block.text:
            self.texts.append(block.text)
        source = block.source if isinstance(block.source, _Source) else None
        if source is not None and source.type == "url":
            self.required |= Capability.MEDIA_URLS
        if block.type == "image":
            self.n_images += 1
            self.required |= Capability.IMAGES
        elif block.type == "document":
            self.required |= Capability.DOCUMENTS if source is None or source.type != "text" else Capability.NONE
            self.other_characters += len((source.data if source else None) or "") // 8
        elif block.type == "tool_result":
            self.n_results += 1
            self.look_at(None if isinstance(block.content, dict) else block.content)
        elif block.type == "tool_use":
            self.other_characters += len(str(block.input))
        elif block.type == "thinking":
            self.required |= Capability.CLAUDE_THOUGHTS if block.signature else Capability.NONE
            self.has_unsigned_thoughts = self.has_unsigned_thoughts or not block.signature
        elif block.type == "redacted_thinking":
            self.required |= capability_to_read(block.data or "", VENDOR, "messages")
        if block.type not in self._carried_blocks or (source is not None and source.type not in _CARRIED_SOURCES):
            self.required |= Capability.MESSAGES_DIALECT


def _stated_effort(request: MessagesRequest) -> str | None:
    """Return the effort of reasoning that the request states."""
    thinking = request.thinking
    effort = None if request.output_config is None else request.output_config.effort
    if thinking is None:
        return named_effort(effort)
    if thinking.type == "disabled":
        return "none"
    return OTHER_EFFORT if effort is None or thinking.budget_tokens is not None else named_effort(effort)


def _needs(request: MessagesRequest, body: Body, fields: DoorFields) -> FieldNeeds:
    """Return what the fields of the body mean to lanes of other dialects."""
    tools = request.tools or ()
    demanded = None if request.tool_choice is None else request.tool_choice.name
    return fields.needs(
        body,
        [tool.type or "custom" for tool in tools],
        next((tool.type for tool in tools if demanded is not None and tool.name == demanded), None),
    )


def _is_open(request: MessagesRequest) -> bool:
    """Return whether `thinking` needs no model that thinks: it is off, or left to the model at the usual effort."""
    thinking = request.thinking
    if thinking is None or thinking.type == "disabled":
        return True
    effort = None if request.output_config is None else request.output_config.effort
    return thinking.type == "adaptive" and effort in (None, "high")


def _required(request: MessagesRequest, needs: FieldNeeds, required: Capability) -> Capability:
    if needs.binding:
        required |= Capability.MESSAGES_DIALECT
    if request.tools:
        required |= Capability.TOOLS
    if request.thinking is not None and not _is_open(request):
        required |= Capability.REASONING
    if request.output_config is not None and request.output_config.format is not None:
        required |= Capability.JSON_SCHEMA
    return required
