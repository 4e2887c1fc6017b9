"""Writes a chat completion request from a neutral request."""

from collections.abc import Iterator, Sequence
from typing import Any

from serve.dialects.inquiry import Body
from serve.dialects.media_url import data_url
from serve.dialects.neutral.fitting import turns_with_thoughts
from serve.dialects.neutral.parts import (
    CacheTtl,
    MediaPart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    joined_text,
    text_of_document,
)
from serve.dialects.neutral.request import NeutralRequest, OutputFormat, Reasoning, Sampling, Tool, ToolChoice, Turn
from serve.dialects.openai.reasoning_details import call_signature_detail, details_of_part
from serve.dialects.quirks import Quirks

_LOW_BUDGET_TOKENS, _MEDIUM_BUDGET_TOKENS = 2_048, 8_192


def write_request(request: NeutralRequest, quirks: Quirks) -> Body:
    """Return the body of a chat completion request, without the model: `encode_upstream_body` adds it."""
    writer = _Writer(quirks)
    body: Body = {
        "messages": [
            *writer.system(request.system),
            *(message for turn in writer.with_thoughts(request.turns) for message in writer.turn(turn)),
        ]
    }
    if request.tools:
        body["tools"] = [writer.tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.tool_choice)
        if request.is_parallel is not None:
            body["parallel_tool_calls"] = request.is_parallel
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    body.update(_sampling(request.sampling, quirks))
    if request.stop:
        body["stop"] = list(request.stop)
    if request.output_format is not None:
        body["response_format"] = _response_format(request.output_format)
    if request.reasoning is not None:
        body["reasoning_effort"] = effort_of(request.reasoning)
    if request.user_id is not None:
        body["user"] = request.user_id
    if request.is_streaming:
        body["stream"] = True
    return body


def effort_of(reasoning: Reasoning) -> str:
    """Return the effort in OpenAI's words. A budget of tokens becomes the nearest effort."""
    if reasoning.effort is not None:
        return "xhigh" if reasoning.effort == "max" else reasoning.effort
    budget = reasoning.budget_tokens
    if budget is None:
        return "medium"
    return "low" if budget <= _LOW_BUDGET_TOKENS else "medium" if budget <= _MEDIUM_BUDGET_TOKENS else "high"


class _Writer:
    """Writer of messages for a provider with these quirks."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks

    def with_thoughts(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """Return the turns with only the thoughts that the provider takes."""
        return turns_with_thoughts(turns, self._takes)

    def _takes(self, thought: ReasoningPart) -> bool:
        if self._quirks.keeps_reasoning_details:
            return True
        return "reasoning_content" in self._quirks.kept_thoughts and thought.vendor is None

    def system(self, parts: Sequence[TextPart]) -> list[Body]:
        return [{"role": "system", "content": self._content(parts)}] if parts else []

    def turn(self, turn: Turn) -> Iterator[Body]:
        if turn.role == "assistant":
            yield self._assistant(turn.parts)
            return
        # Results come first: providers need them right after the calls.
        media: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResultPart):
                yield {"role": "tool", "tool_call_id": part.call_id, "content": joined_text(part.content)}
                media += [inner for inner in part.content if isinstance(inner, MediaPart)]
        rest = [*media, *(part for part in turn.parts if not isinstance(part, ToolResultPart))]
        if rest:
            yield {"role": "user", "content": self._content(rest)}

    def tool(self, tool: Tool) -> Body:
        function: Body = {"name": tool.name, "parameters": tool.parameters}
        if tool.description is not None:
            function["description"] = tool.description
        if tool.is_strict is not None:
            function["strict"] = tool.is_strict
        return self._cached({"type": "function", "function": function}, tool.cache)

    def _assistant(self, parts: Sequence[Part]) -> Body:
        texts = [part for part in parts if isinstance(part, TextPart)]
        calls = [part for part in parts if isinstance(part, ToolCallPart)]
        message: Body = {"role": "assistant", "content": self._content(texts) if texts else None}
        if calls:
            message["tool_calls"] = [
                {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in calls
            ]
        if self._quirks.keeps_reasoning_details:
            thoughts = [part for part in parts if isinstance(part, ReasoningPart)]
            details = [details_of_part(part, index) for index, part in enumerate(thoughts)]
            details += [
                call_signature_detail(call.call_id, call.signature, len(details))
                for call in calls
                if call.signature is not None
            ]
            if details:
                message["reasoning_details"] = details
        elif text := "".join(part.text for part in parts if isinstance(part, ReasoningPart)):
            message["reasoning_content"] = text
        return message

    def _content(self, parts: Sequence[Part]) -> str | list[Body]:
        """Return plain text if it is enough, else a list: not every provider takes lists."""
        is_plain = all(isinstance(part, TextPart) for part in parts)
        if is_plain and not (self._quirks.keeps_cache_control and any(getattr(part, "cache", None) for part in parts)):
            return "\n\n".join(part.text for part in parts if isinstance(part, TextPart))
        return [self._part(part) for part in parts]

    def _part(self, part: Part) -> Body:
        if isinstance(part, MediaPart):
            if (text := text_of_document(part)) is not None:  # its files are PDF alone
                return self._cached({"type": "text", "text": text}, part.cache)
            return self._cached(_media(part), part.cache)
        assert isinstance(part, TextPart)
        return self._cached({"type": "text", "text": part.text}, part.cache)

    def _cached(self, block: Body, ttl: CacheTtl | None) -> Body:
        if ttl is not None and self._quirks.keeps_cache_control:
            block["cache_control"] = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
        return block


def _media(part: MediaPart) -> Body:
    if part.kind == "audio":
        return {
            "type": "input_audio",
            "input_audio": {"data": part.data, "format": (part.media_type or "").rpartition("/")[2]},
        }
    url = part.url if part.data is None else data_url(part.media_type, part.data)
    if part.kind == "document":
        return {"type": "file", "file": {"file_data": url, "filename": part.name or "document.pdf"}}
    image: dict[str, Any] = {"url": url}
    if part.detail is not None:
        image["detail"] = part.detail
    return {"type": "image_url", "image_url": image}


def _tool_choice(choice: ToolChoice) -> str | Body:
    return {"type": "function", "function": {"name": choice.name}} if choice.mode == "named" else choice.mode


def _sampling(sampling: Sampling, quirks: Quirks) -> Body:
    names = ["temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"]
    if "top_k" in quirks.extra_parameters:
        names.append("top_k")
    return {name: value for name in names if (value := getattr(sampling, name)) is not None}


def _response_format(wanted: OutputFormat) -> Body:
    if wanted.schema is None:
        return {"type": "json_object"}
    described: Body = {"name": wanted.name, "schema": wanted.schema}
    if wanted.is_strict is not None:
        described["strict"] = wanted.is_strict
    return {"type": "json_schema", "json_schema": described}
