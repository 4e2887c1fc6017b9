"""Reads a chat completion request into a neutral request."""

from typing import Any, Literal

from msgspec import Struct

from router.lane import EFFORTS, Effort
from serve.dialects.inquiry import Body
from serve.dialects.json_body import typed
from serve.dialects.media_url import media_of_url
from serve.dialects.neutral.parts import (
    CacheTtl,
    MediaPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolForm,
    ToolResultPart,
)
from serve.dialects.neutral.reading import NO_PARAMETERS, plain_parts, read_output_format
from serve.dialects.neutral.request import (
    NeutralRequest,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
    Turn,
    merged_turns,
)
from serve.dialects.neutral.tool_forms import allowed_tools, custom_arguments, custom_tool
from serve.dialects.openai.chat_request import ExtraContent
from serve.dialects.openai.reasoning_details import ReasoningDetail, parts_of_details
from serve.errors import BadRequestError


class _CacheControl(Struct):
    ttl: CacheTtl = "5m"


class _Text(Struct, tag_field="type", tag="text"):
    text: str
    cache_control: _CacheControl | None = None


class _Refusal(Struct, tag_field="type", tag="refusal"):
    refusal: str


class _ImageUrl(Struct):
    url: str
    detail: str | None = None


class _Image(Struct, tag_field="type", tag="image_url"):
    image_url: _ImageUrl
    cache_control: _CacheControl | None = None


class _Sound(Struct):
    data: str
    format: str


class _Audio(Struct, tag_field="type", tag="input_audio"):
    input_audio: _Sound


class _Document(Struct):
    file_data: str
    filename: str | None = None


class _File(Struct, tag_field="type", tag="file"):
    file: _Document
    cache_control: _CacheControl | None = None


_Content = str | list[_Text | _Refusal | _Image | _Audio | _File] | None


class _Function(Struct):
    name: str
    arguments: str = "{}"


class _CustomInput(Struct):
    name: str
    input: str = ""


class _ToolCall(Struct):
    id: str
    function: _Function | None = None
    custom: _CustomInput | None = None
    extra_content: ExtraContent | None = None

    @property
    def signature(self) -> str | None:
        return self.extra_content.google.thought_signature if self.extra_content and self.extra_content.google else None


class _Message(Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: _Content = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class _Signature(Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Custom(Struct):
    name: str
    description: str | None = None
    format: dict[str, Any] | None = None


class _Tool(Struct):
    function: _Signature | None = None
    custom: _Custom | None = None
    cache_control: _CacheControl | None = None


class _Named(Struct):
    name: str


class _NamedTool(Struct):
    function: _Named | None = None
    custom: _Named | None = None

    @property
    def name(self) -> str:
        named = self.function or self.custom
        return "" if named is None else named.name


class _Allowed(Struct):
    mode: Literal["auto", "required"] = "auto"
    tools: list[_NamedTool] = []


class _ToolChoice(_NamedTool):
    allowed_tools: _Allowed | None = None


class _JsonSchema(Struct):
    name: str = "answer"
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class _Format(Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _Reasoning(Struct):
    effort: str | None = None
    max_tokens: int | None = None
    exclude: bool = False
    enabled: bool | None = None


class _Thinking(Struct):
    """Anthropic's and DeepSeek's field, which some clients send here too."""

    type: str = "enabled"
    budget_tokens: int | None = None


_TOOL_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral's word
}


class _Body(Struct):
    messages: list[_Message]
    tools: list[_Tool] | None = None
    tool_choice: str | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: str | list[str] | None = None
    response_format: _Format | None = None
    reasoning_effort: str | None = None
    reasoning: _Reasoning | None = None
    thinking: _Thinking | None = None
    thinking_budget: int | None = None
    enable_thinking: bool | None = None
    include_reasoning: bool | None = None
    user: str | None = None
    stream: bool | None = None


def read_request(body: Body) -> NeutralRequest:
    """Return the request that a chat completion body holds.

    Raises:
        BadRequestError: A field is malformed or cannot be carried to another dialect; the error names it.
    """
    view = typed(body, _Body)
    system: list[TextPart] = []
    turns: list[Turn] = []
    for place, message in enumerate(view.messages):
        where = f"messages[{place}]"
        if message.role in ("system", "developer"):
            system += [part for part in _parts(message.content, where) if isinstance(part, TextPart)]
        elif message.role == "assistant":
            turns.append(Turn("assistant", _assistant_parts(message, where)))
        else:
            turns.append(
                Turn("user", _tool_result(message, where) if message.role == "tool" else _parts(message.content, where))
            )
    tools = tuple(_tool(tool, f"tools[{place}]") for place, tool in enumerate(view.tools or ()))
    if isinstance(view.tool_choice, _ToolChoice) and (allowed := view.tool_choice.allowed_tools) is not None:
        tools = allowed_tools(tools, [tool.name for tool in allowed.tools])
    return NeutralRequest(
        system=tuple(system),
        turns=merged_turns(turns),
        tools=tools,
        tool_choice=_tool_choice(view.tool_choice),
        is_parallel=view.parallel_tool_calls,
        max_output_tokens=view.max_completion_tokens or view.max_tokens,
        sampling=Sampling(
            view.temperature, view.top_p, view.top_k, view.seed, view.frequency_penalty, view.presence_penalty
        ),
        stop=(view.stop,) if isinstance(view.stop, str) else tuple(view.stop or ()),
        output_format=_output_format(view.response_format),
        reasoning=_reasoning(view),
        user_id=view.user,
        is_streaming=bool(view.stream),
    )


def _parts(content: _Content, where: str) -> tuple[Part, ...]:
    if content is None or isinstance(content, str):
        return plain_parts(content)
    return tuple(_part(part, f"{where}.content[{place}]") for place, part in enumerate(content))


def _part(part: _Text | _Refusal | _Image | _Audio | _File, where: str) -> TextPart | MediaPart:
    if isinstance(part, _Text):
        return TextPart(part.text, _ttl(part.cache_control))
    if isinstance(part, _Refusal):
        return TextPart(part.refusal)
    if isinstance(part, _Audio):
        return MediaPart("audio", f"audio/{part.input_audio.format}", part.input_audio.data)
    if isinstance(part, _Image):
        media = media_of_url(part.image_url.url, f"{where}.image_url.url")
        return MediaPart("image", *media, detail=part.image_url.detail, cache=_ttl(part.cache_control))
    media = media_of_url(part.file.file_data, f"{where}.file.file_data")
    return MediaPart("document", *media, name=part.file.filename, cache=_ttl(part.cache_control))


def _ttl(control: _CacheControl | None) -> CacheTtl | None:
    return None if control is None else control.ttl


def _assistant_parts(message: _Message, where: str) -> tuple[Part, ...]:
    thoughts: tuple[Part, ...] = parts_of_details(message.reasoning_details or ())
    if not thoughts and (unsigned := message.reasoning or message.reasoning_content):
        thoughts = (ReasoningPart(unsigned),)
    signatures = {detail.id: detail.data for detail in message.reasoning_details or () if detail.is_call_signature}
    calls = tuple(_call(call, signatures.get(call.id), where) for call in message.tool_calls or ())
    return (*thoughts, *_parts(message.content, where), *calls)


def _call(call: _ToolCall, signature: str | None, where: str) -> ToolCallPart:
    if call.custom is not None:
        return ToolCallPart(call.id, call.custom.name, custom_arguments(call.custom.input))
    if call.function is None:
        raise BadRequestError("a tool call needs a function", param=f"{where}.tool_calls")
    return ToolCallPart(call.id, call.function.name, call.function.arguments or "{}", call.signature or signature)


def _tool_result(message: _Message, where: str) -> tuple[Part, ...]:
    if message.tool_call_id is None:
        raise BadRequestError("a message of role 'tool' needs a tool_call_id", param=f"{where}.tool_call_id")
    content = tuple(part for part in _parts(message.content, where) if isinstance(part, TextPart | MediaPart))
    return (ToolResultPart(message.tool_call_id, content),)


def _tool(tool: _Tool, where: str) -> Tool:
    if (custom := tool.custom) is not None:
        return custom_tool(custom.name, custom.description, custom.format, ToolForm("custom", custom.name))
    signature = tool.function
    if signature is None:
        raise BadRequestError("a tool needs a function", param=where)
    parameters = signature.parameters or NO_PARAMETERS
    return Tool(signature.name, signature.description, parameters, signature.strict, _ttl(tool.cache_control))


def _tool_choice(choice: str | _ToolChoice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, _ToolChoice):
        return (
            ToolChoice("named", choice.name) if choice.allowed_tools is None else ToolChoice(choice.allowed_tools.mode)
        )
    mode = _TOOL_MODES.get(choice)
    if mode is None:
        raise BadRequestError(f"{choice!r} is not a choice. Use one of: {', '.join(_TOOL_MODES)}.", param="tool_choice")
    return ToolChoice(mode)


def _output_format(wanted: _Format | None) -> OutputFormat | None:
    if wanted is None:
        return None
    described = wanted.json_schema or _JsonSchema()
    field = "response_format.json_schema.schema"
    return read_output_format(wanted.type, described.schema, described.name, described.strict, schema_field=field)


def _reasoning(view: _Body) -> Reasoning | None:
    """Return how much thinking is wanted. OpenRouter's `reasoning` counts before the fields of other providers."""
    wanted, is_shown = view.reasoning, view.include_reasoning is not False
    stated = _effort(view.reasoning_effort, "reasoning_effort")
    if wanted is not None:
        if wanted.enabled is False:
            return Reasoning("none")
        effort = _effort(wanted.effort, "reasoning.effort") or (None if wanted.max_tokens else stated)
        return Reasoning(effort, wanted.max_tokens, is_shown and not wanted.exclude)
    if view.enable_thinking is False or (view.thinking is not None and view.thinking.type == "disabled"):
        return Reasoning("none")
    budget = view.thinking_budget if view.thinking is None else view.thinking.budget_tokens
    if view.thinking is None and view.enable_thinking is None and budget is None:
        return None if stated is None else Reasoning(stated, None, is_shown)
    return Reasoning(stated or (None if budget else "medium"), budget, is_shown)


def _effort(word: str | None, param: str) -> Effort | None:
    """Return an effort. None: the request leaves it to the provider, which Groq calls `default`.

    Raises:
        BadRequestError: No dialect has this effort.
    """
    if word is None or word == "default":
        return None
    if word not in EFFORTS:
        raise BadRequestError(f"{word!r} is not an effort. Use one of: {', '.join(EFFORTS)}.", param=param)
    return word
