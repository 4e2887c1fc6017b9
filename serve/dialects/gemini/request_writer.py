"""Writes a generateContent request from a neutral request.

Sources: ai.google.dev/api/generate-content, ai.google.dev/gemini-api/docs/thought-signatures, types of the package
google-genai 3.4.0, all read 2026-11-23.
"""

from collections.abc import Mapping, Sequence

from serve.dialects.inquiry import Body
from serve.dialects.neutral.fitting import turns_with_thoughts
from serve.dialects.neutral.parts import MediaPart, Part, TextPart, ToolCallPart, ToolResultPart, arguments_object
from serve.dialects.neutral.request import NeutralRequest, Reasoning, Tool, ToolChoice, Turn
from serve.dialects.quirks import Quirks

NO_SIGNATURE = "skip_thought_signature_validator"
"""Signature for a call by another vendor's model. Gemini 3 refuses conversations with unsigned calls."""
_WITH_IDS = frozenset({"functionCall", "functionResponse"})
_LEVELS = {"none": "minimal", "max": "xhigh"}
_BUDGET_TOKENS = {
    "none": 0,
    "minimal": 512,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
_SAMPLING = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}


def write_request(request: NeutralRequest, quirks: Quirks) -> Body:
    """Return the body of a generateContent request."""
    names = {part.call_id: part.name for turn in request.turns for part in turn.parts if isinstance(part, ToolCallPart)}
    turns = turns_with_thoughts(request.turns, lambda thought: False)
    body: Body = {"contents": [_content(turn, names, quirks) for turn in turns]}
    if request.system:
        body["systemInstruction"] = {"parts": [{"text": part.text} for part in request.system]}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in request.tools]}]
        if request.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": _calling(request.tool_choice)}
    config = _generation_config(request, quirks)
    if config:
        body["generationConfig"] = config
    return body


def _content(turn: Turn, names: Mapping[str, str], quirks: Quirks) -> Body:
    parts: Sequence[Part] = turn.parts
    if not quirks.sends_call_ids:  # calls and results are matched by their order
        places = {call_id: place for place, call_id in enumerate(names)}
        results = iter(
            sorted(
                (part for part in parts if isinstance(part, ToolResultPart)),
                key=lambda part: places.get(part.call_id, len(places)),
            )
        )
        parts = [next(results) if isinstance(part, ToolResultPart) else part for part in parts]
    written = _parts(parts, names)
    if not quirks.sends_call_ids:
        for part in written:
            for name in part.keys() & _WITH_IDS:
                del part[name]["id"]
    return {"role": "model" if turn.role == "assistant" else "user", "parts": written}


def _parts(parts: Sequence[Part], names: Mapping[str, str]) -> list[Body]:
    written: list[Body] = []
    has_call = False
    for part in parts:
        if isinstance(part, TextPart):
            written += [{"text": part.text}] if part.text else []
        elif isinstance(part, MediaPart):
            written.append(_media(part))
        elif isinstance(part, ToolCallPart):
            block: Body = {
                "functionCall": {"id": part.call_id, "name": part.name, "args": arguments_object(part.arguments)}
            }
            # Only the first of parallel calls is signed.
            signature = part.signature or (None if has_call else NO_SIGNATURE)
            written.append(block if signature is None else {**block, "thoughtSignature": signature})
            has_call = True
        elif isinstance(part, ToolResultPart):
            written.append(_result(part, names))
    return written


def _media(part: MediaPart) -> Body:
    if part.data is None:
        return {"fileData": {"fileUri": part.url, **({"mimeType": part.media_type} if part.media_type else {})}}
    return {"inlineData": {"mimeType": part.media_type, "data": part.data}}


def _result(part: ToolResultPart, names: Mapping[str, str]) -> Body:
    text = "".join(inner.text for inner in part.content if isinstance(inner, TextPart))
    response: Body = {
        "id": part.call_id,
        "name": names.get(part.call_id, part.call_id),
        "response": {"error" if part.is_error else "result": text},
    }
    media = [_media(inner) for inner in part.content if isinstance(inner, MediaPart)]
    if media:
        response["parts"] = media
    return {"functionResponse": response}


def _declaration(tool: Tool) -> Body:
    declared: Body = {"name": tool.name, "parametersJsonSchema": tool.parameters}
    return declared if tool.description is None else {**declared, "description": tool.description}


def _calling(choice: ToolChoice) -> Body:
    if choice.mode == "named":
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    return {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice.mode]}


def _generation_config(request: NeutralRequest, quirks: Quirks) -> Body:
    config: Body = {
        theirs: value for ours, theirs in _SAMPLING.items() if (value := getattr(request.sampling, ours)) is not None
    }
    if request.max_output_tokens is not None:
        config["maxOutputTokens"] = request.max_output_tokens
    if request.stop:
        config["stopSequences"] = list(request.stop)
    if request.output_format is not None:
        config["responseMimeType"] = "application/json"
        if request.output_format.schema is not None:
            config["responseJsonSchema"] = request.output_format.schema
    if request.reasoning is not None:
        config["thinkingConfig"] = _thinking(request.reasoning, quirks)
    for name in quirks.dropped_parameters:
        config.pop(_SAMPLING.get(name, name), None)
    return config


def _thinking(reasoning: Reasoning, quirks: Quirks) -> Body:
    """Return how much to think: a level for Gemini 3 and newer, a number of tokens for older models."""
    shown: Body = {"includeThoughts": True} if reasoning.is_shown and not reasoning.is_off else {}
    if quirks.takes_thinking_budget:
        budget = reasoning.budget_tokens
        return {**shown, "thinkingBudget": _BUDGET_TOKENS[reasoning.effort or "medium"] if budget is None else budget}
    return {**shown, "thinkingLevel": _level(reasoning)}


def _level(reasoning: Reasoning) -> str:
    if reasoning.effort is not None:
        return _LEVELS.get(reasoning.effort, reasoning.effort)
    budget = reasoning.budget_tokens or _BUDGET_TOKENS["medium"]
    return next((level for level in ("minimal", "low", "medium") if budget <= _BUDGET_TOKENS[level]), "high")
