"""A chat request as the decision sees it: the whole conversation as text, its shape, and what its lane must have."""

from msgspec import UNSET

from router.context import RouteContext
from router.effort import OTHER_EFFORT, named_effort
from router.lane import Capability
from serve.dialects.field_needs import NO_NEEDS, FieldNeeds
from serve.dialects.field_table import fields_of
from serve.dialects.inquiry import Body, Inquiry
from serve.dialects.openai import NAME
from serve.dialects.openai.chat_request import ChatRequest, ContentPart, Message, parse_chat_request
from serve.dialects.openai.reasoning_details import capability_of_format
from serve.dialects.openai.request_reader import read_request
from serve.dialects.seen_conversation import conversation_context, nothing_to_answer

_IMAGE_TYPES = frozenset({"image_url", "image", "input_image"})
_AUDIO_TYPES = frozenset({"input_audio", "audio"})
_QUIET_EFFORTS = frozenset({"none", "minimal", "medium", "default"})
"""Efforts that need no model that reasons: none, hardly any, and what OpenAI's models do when nothing is said."""
_SPECIAL = ("allowed_tools", "custom")
_CARRIED_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_OTHER_REASONING_FIELDS = frozenset({"chat_template_kwargs", "enable_thinking", "thinking", "thinking_budget"})
"""Fields in which some providers take how much to reason."""


def read_chat_request(raw: bytes) -> Inquiry:
    """Read a chat completion request.

    Raises:
        BadRequestError: A field is wrong; the error names it.
        TooLargeError: The text has more than `MAX_PROMPT_CHARACTERS` characters.
    """
    request, body = parse_chat_request(raw)
    needs = _needs(request, body)
    context = route_context(request, body, needs)
    return Inquiry(
        NAME,
        request,
        body,
        context,
        _opening(request),
        bool(request.stream),
        read_request,
        needs,
        has_special_tools=bool(request.tools) and _has_special_tools(request, body),
    )


def _has_special_tools(request: ChatRequest, body: Body) -> bool:
    """Return whether the request has custom tools, or a choice among several tools."""
    choice = body.get("tool_choice")
    is_special_choice = isinstance(choice, dict) and choice.get("type") in _SPECIAL
    return is_special_choice or any(tool.type == "custom" for tool in request.tools or ())


def _needs(request: ChatRequest, body: Body) -> FieldNeeds:
    """Return what the fields of the body mean to lanes of other dialects."""
    return fields_of(NAME).needs(body, [tool.type for tool in request.tools or ()])


def _opening(request: ChatRequest) -> str:
    """Return the caller's own name for the conversation, else its beginning."""
    if request.prompt_cache_key is not None:
        return request.prompt_cache_key
    messages = request.messages
    opening = [messages[0]]
    if messages[0].role in ("system", "developer"):
        opening += [message for message in messages if message.role == "user"][:1]
    return "\n".join(message.content if isinstance(message.content, str) else "" for message in opening)


def route_context(request: ChatRequest, body: Body, needs: FieldNeeds = NO_NEEDS) -> RouteContext:
    """Return what the decision may see of this request.

    Raises:
        BadRequestError: There is nothing to answer.
        TooLargeError: The text has more than `MAX_PROMPT_CHARACTERS` characters.
    """
    messages = request.messages
    texts: list[str] = []
    n_images = 0
    has_audio = False
    required = Capability.NONE
    for message in messages:
        content = message.content
        if isinstance(content, str):
            texts.append(content)
        elif content is not None:
            texts += [part.text for part in content if part.text]
            n_images += sum(part.type in _IMAGE_TYPES for part in content)
            has_audio = has_audio or any(part.type in _AUDIO_TYPES for part in content)
            required |= _required_by_parts(content)
        if message.reasoning_details:
            for detail in message.reasoning_details:
                required |= capability_of_format(detail.format) if detail.signature or detail.data else Capability.NONE
        if message.tool_calls and any(call.extra_content and call.extra_content.google for call in message.tool_calls):
            required |= Capability.GEMINI_THOUGHTS
        if message.role not in _CARRIED_ROLES:
            required |= Capability.CHAT_DIALECT
    text = texts[0] if len(texts) == 1 else "\n".join(texts)
    if not text.strip() and not n_images and not has_audio and not _has_tool_turn(messages):
        raise nothing_to_answer("messages")
    return conversation_context(
        text,
        "messages",
        n_messages=len(messages),
        n_images=n_images,
        other_characters=len(str(body["tools"])) if request.tools else 0,
        required=required | _required_capabilities(request, needs, n_images > 0, has_audio),
        max_output_tokens=request.max_completion_tokens or request.max_tokens,
        body=body,
        effort=_stated_effort(request, body),
        dialect_fields=needs.binding,
    )


def _stated_effort(request: ChatRequest, body: Body) -> str | None:
    """Return the effort of reasoning that the request states. OpenRouter's `reasoning` counts before OpenAI's field."""
    reasoning = None if request.reasoning is UNSET else request.reasoning
    if reasoning is None:
        if request.reasoning_effort is None and not _OTHER_REASONING_FIELDS.isdisjoint(body):
            return OTHER_EFFORT
        return named_effort(request.reasoning_effort)
    if not isinstance(reasoning, dict):
        return OTHER_EFFORT
    if reasoning.get("enabled") is False:
        return "none"
    effort = reasoning.get("effort") or (None if reasoning.get("max_tokens") else request.reasoning_effort)
    return named_effort(effort) if isinstance(effort, str) else OTHER_EFFORT


def _has_tool_turn(messages: list[Message]) -> bool:
    return any(message.tool_calls or message.role in ("tool", "function") for message in messages)


def _required_by_parts(content: list[ContentPart]) -> Capability:
    required = Capability.NONE
    carried = fields_of(NAME).carried_parts
    for part in content:
        if part.type == "file":
            # Only the provider that a file was uploaded to has it.
            required |= (
                Capability.DOCUMENTS if part.file is None or part.file.file_id is None else Capability.CHAT_DIALECT
            )
        elif part.type == "image_url":
            url = part.image_url if isinstance(part.image_url, str) else part.image_url and part.image_url.url
            required |= Capability.MEDIA_URLS if url and not url.startswith("data:") else Capability.NONE
        elif part.type not in carried:
            required |= Capability.CHAT_DIALECT
    return required


def _required_capabilities(request: ChatRequest, needs: FieldNeeds, has_images: bool, has_audio: bool) -> Capability:
    required = Capability.NONE
    if needs.binding:
        required |= Capability.CHAT_DIALECT
    if request.tools or request.functions:
        required |= Capability.TOOLS
    if has_images:
        required |= Capability.IMAGES
    if has_audio:
        required |= Capability.AUDIO
    if request.response_format is not None:
        if request.response_format.type == "json_schema":
            required |= Capability.JSON_SCHEMA
        elif request.response_format.type == "json_object":
            required |= Capability.JSON_OBJECT
        elif request.response_format.type != "text":  # grammars of vLLM and Fireworks
            required |= Capability.CHAT_DIALECT
    if request.logprobs:
        required |= Capability.LOGPROBS
    if request.n is not None and request.n > 1:
        required |= Capability.MULTIPLE_CHOICES
    if request.reasoning_effort is not None and request.reasoning_effort not in _QUIET_EFFORTS:
        required |= Capability.REASONING
    return required
