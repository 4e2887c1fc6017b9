"""Requests keep their meaning on the way from one dialect to the other."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from dialect_strategies import requests
from hypothesis import given

from router.lane import Lane
from router.price_table import Price
from serve.catalogue.dialect_rows import load_dialect_rows
from serve.dialects.anthropic import request_reader as messages_reader
from serve.dialects.anthropic import request_writer as messages_writer
from serve.dialects.anthropic.thinking import as_taken
from serve.dialects.bedrock import request_writer as bedrock_writer
from serve.dialects.gemini import request_writer as gemini_writer
from serve.dialects.neutral.fitting import fitted
from serve.dialects.neutral.parts import MediaPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from serve.dialects.neutral.request import NeutralRequest, Reasoning, Turn
from serve.dialects.openai import request_reader as chat_reader
from serve.dialects.openai import request_writer as chat_writer
from serve.dialects.quirks import NO_QUIRKS, Quirks
from serve.dialects.responses import request_reader as responses_reader
from serve.dialects.responses import request_writer as responses_writer
from serve.errors import BadRequestError
from serve.packaged_files import data_dir

LANE = Lane(
    "a/m", "a", "claude-x", "anthropic/claude-x", "a", Price(Decimal(1), Decimal(1), "a test", date(2026, 11, 1))
)
BUDGETED = Quirks(takes_thinking_budget=True)
OPENROUTER = Quirks(
    keeps_cache_control=True, kept_thoughts=frozenset({"reasoning_details"}), extra_parameters=frozenset({"top_k"})
)


def as_messages(request: NeutralRequest, quirks: Quirks = NO_QUIRKS) -> dict[str, Any]:
    return messages_writer.write_request(request, LANE, quirks)


def as_chat(request: NeutralRequest, quirks: Quirks = NO_QUIRKS) -> dict[str, Any]:
    return chat_writer.write_request(request, quirks)


def from_chat(*messages: dict[str, Any], **fields: Any) -> NeutralRequest:
    return chat_reader.read_request({"messages": list(messages), **fields})


def from_messages(*messages: dict[str, Any], **fields: Any) -> NeutralRequest:
    return messages_reader.read_request({"messages": list(messages), "max_tokens": 100, **fields})


@given(requests())
def test_a_chat_request_read_back_says_what_it_said(request: NeutralRequest) -> None:
    assert chat_reader.read_request(as_chat(request)) == request


@given(requests())
def test_a_responses_request_read_back_says_what_the_dialect_has_fields_for(request: NeutralRequest) -> None:
    read = responses_reader.read_request(
        msgspec.json.decode(msgspec.json.encode(responses_writer.write_request(request)))
    )
    assert "".join(part.text for part in read.system).split() == " ".join(p.text for p in request.system).split()
    calls, results, texts = (
        [
            [getattr(part, field) for turn in each.turns for part in turn.parts if isinstance(part, kind)]
            for each in (read, request)
        ]
        for kind, field in ((ToolCallPart, "arguments"), (ToolResultPart, "call_id"), (TextPart, "text"))
    )
    assert calls[0] == calls[1]
    assert results[0] == results[1]
    assert texts[0] == texts[1]
    assert [tool.name for tool in read.tools] == [tool.name for tool in request.tools]
    assert (read.max_output_tokens, read.is_streaming) == (request.max_output_tokens, request.is_streaming)
    assert (read.sampling.temperature, read.sampling.top_p) == (request.sampling.temperature, request.sampling.top_p)


@given(requests())
def test_a_messages_request_read_back_says_what_it_said(request: NeutralRequest) -> None:
    read = messages_reader.read_request(as_messages(request))
    formats = (read.output_format, request.output_format)
    assert [each and each.schema for each in formats] == [formats[1] and formats[1].schema] * 2
    assert replace(read, output_format=None) == replace(request, output_format=None)


@given(requests())
def test_there_and_back_between_the_dialects_a_request_keeps_its_meaning(request: NeutralRequest) -> None:
    there = messages_reader.read_request(as_messages(chat_reader.read_request(as_chat(request))))
    back = chat_reader.read_request(as_chat(there))
    assert replace(back, output_format=None) == replace(request, output_format=None)


def test_results_of_tools_come_before_what_the_user_adds() -> None:
    request = from_messages(
        {"role": "user", "content": "add"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 1}}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "and?"}, {"type": "tool_result", "tool_use_id": "t1", "content": "2"}],
        },
    )
    roles = [(message["role"], message["content"]) for message in as_chat(request)["messages"]]
    assert roles[1:] == [("assistant", None), ("tool", "2"), ("user", "and?")]
    assert as_messages(request)["messages"][2]["content"][0]["type"] == "tool_result"


def test_several_chat_results_become_one_message() -> None:
    calls = [
        {"id": f"c{number}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for number in (1, 2)
    ]
    request = from_chat(
        {"role": "user", "content": "both"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
    )
    messages = as_messages(request)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert [block["tool_use_id"] for block in messages[2]["content"]] == ["c1", "c2"]


def test_empty_text_beside_a_tool_call_is_left_out() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    request = from_chat({"role": "user", "content": "go"}, {"role": "assistant", "content": "", "tool_calls": [call]})
    assert as_messages(request)["messages"][1]["content"] == [
        {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    ]


def test_ids_that_the_dialect_refuses_are_rewritten_alike_for_call_and_result() -> None:
    turns = (
        Turn("user", (TextPart("go"),)),
        Turn("assistant", (ToolCallPart("functions.f:0", "f", "{}"),)),
        Turn("user", (ToolResultPart("functions.f:0", (TextPart("1"),)),)),
    )
    messages = as_messages(NeutralRequest((), turns))["messages"]
    assert messages[1]["content"][0]["id"] == messages[2]["content"][0]["tool_use_id"] == "functions_f_0"


def test_cache_marks_go_where_they_are_understood() -> None:
    system = [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    request = from_messages({"role": "user", "content": "hi"}, system=system)
    assert as_chat(request)["messages"][0]["content"] == "long"
    assert as_chat(request, OPENROUTER)["messages"][0]["content"] == system
    assert as_messages(request)["system"] == system


def test_signed_thoughts_go_back_to_their_vendor_and_to_no_other_vendor() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    hidden = {"type": "redacted_thinking", "data": "xyz"}
    text = {"type": "text", "text": "yes"}
    request = from_messages({"role": "user", "content": "?"}, {"role": "assistant", "content": [thought, hidden, text]})
    assert as_messages(request)["messages"][1]["content"] == [thought, hidden, text]
    assert "reasoning_details" not in as_chat(request)["messages"][1]
    through_openrouter = chat_reader.read_request(as_chat(request, OPENROUTER))
    assert through_openrouter.turns == request.turns


def test_thoughts_in_pieces_as_a_stream_sends_them_are_one_thought_again() -> None:
    name = "anthropic-claude-v1"
    details = [
        {"type": "reasoning.text", "text": "one ", "index": 0},
        {"type": "reasoning.text", "text": "two", "index": 0},
        {"type": "reasoning.text", "text": "", "signature": "sig", "format": name, "index": 0},
    ]
    request = from_chat(
        {"role": "user", "content": "?"}, {"role": "assistant", "content": "yes", "reasoning_details": details}
    )
    assert request.turns[1].parts[0] == ReasoningPart("one two", "sig", None, "anthropic")


@pytest.mark.parametrize(
    ("reasoning", "adaptive", "budgeted"),
    [
        (Reasoning("none"), {"type": "disabled"}, {"type": "disabled"}),
        (Reasoning("high"), {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 8_000}),
        (Reasoning(None, 4_000), {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 4_000}),
        (
            Reasoning("low", is_shown=False),
            {"type": "adaptive", "display": "omitted"},
            {"type": "enabled", "budget_tokens": 2_000},
        ),
    ],
)
def test_thinking_is_asked_for_as_the_model_takes_it(
    reasoning: Reasoning, adaptive: dict[str, Any], budgeted: dict[str, Any]
) -> None:
    request = NeutralRequest((), (Turn("user", (TextPart("?"),)),), max_output_tokens=10_000, reasoning=reasoning)
    assert as_messages(request)["thinking"] == adaptive
    assert as_messages(request, BUDGETED)["thinking"] == budgeted


def test_a_limit_below_the_least_budget_leaves_no_room_for_thought() -> None:
    request = NeutralRequest((), (Turn("user", (TextPart("?"),)),), max_output_tokens=500, reasoning=Reasoning("high"))
    body = as_messages(request, BUDGETED)
    assert "thinking" not in body
    assert body["max_tokens"] == 500


def test_parameters_that_a_model_refuses_are_never_sent_to_it() -> None:
    request = from_chat({"role": "user", "content": "?"}, temperature=0.7, top_p=0.9)
    body = as_messages(request, Quirks(dropped_parameters=frozenset({"temperature", "top_p"})))
    assert not {"temperature", "top_p"} & body.keys()


def test_a_temperature_beyond_anthropics_range_is_its_greatest() -> None:
    quirks = load_dialect_rows(data_dir() / "dialects.yaml").quirks_of("anthropic")
    request = fitted(from_chat({"role": "user", "content": "?"}, temperature=1.7), quirks)
    assert as_messages(request, quirks)["temperature"] == 1.0


def test_the_limit_that_the_dialect_demands_is_the_models_own() -> None:
    request = from_chat({"role": "user", "content": "?"})
    assert (
        messages_writer.write_request(request, replace(LANE, max_output_tokens=64_000), NO_QUIRKS)["max_tokens"]
        == 64_000
    )
    assert as_messages(request)["max_tokens"] == messages_writer.DEFAULT_MAX_TOKENS


def test_documents_and_images_keep_their_kind() -> None:
    blocks = [
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]
    request = from_messages({"role": "user", "content": blocks})
    assert request.turns[0].parts == (
        MediaPart("document", "application/pdf", "JVBERi0=", name="a.pdf"),
        MediaPart("image", None, url="https://example.com/a.png"),
    )
    file, image = as_chat(request)["messages"][0]["content"]
    assert file["file"] == {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}
    assert image["image_url"] == {"url": "https://example.com/a.png"}
    assert as_messages(chat_reader.read_request(as_chat(request)))["messages"][0]["content"] == blocks


def as_gemini(request: NeutralRequest, quirks: Quirks = NO_QUIRKS) -> dict[str, Any]:
    return gemini_writer.write_request(request, quirks)


def called(signature: str | None) -> NeutralRequest:
    google = {} if signature is None else {"extra_content": {"google": {"thought_signature": signature}}}
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}, **google},
        {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
    ]
    return from_chat(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "?"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        tools=[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
        tool_choice={"type": "function", "function": {"name": "weather"}},
    )


@pytest.mark.parametrize(("signature", "sent"), [("sig", "sig"), (None, "skip_thought_signature_validator")])
def test_gemini_sees_its_signature_again_or_is_told_that_there_is_none(signature: str | None, sent: str) -> None:
    body = as_gemini(called(signature))
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"][1] == {
        "role": "model",
        "parts": [
            {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Paris"}}, "thoughtSignature": sent},
            {"functionCall": {"id": "c2", "name": "weather", "args": {}}},
        ],
    }
    result = {"functionResponse": {"id": "c1", "name": "weather", "response": {"result": "sunny"}}}
    assert body["contents"][2] == {"role": "user", "parts": [result]}
    assert body["tools"] == [
        {"functionDeclarations": [{"name": "weather", "parametersJsonSchema": {"type": "object"}}]}
    ]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}


def test_gemini_is_told_how_to_draw_to_stop_to_think_and_what_to_write() -> None:
    request = from_chat(
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
        temperature=1.5,
        top_p=0.9,
        seed=7,
        stop="END",
        max_tokens=99,
        reasoning_effort="high",
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    )
    body = as_gemini(request)
    assert body["contents"] == [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}]
    assert body["generationConfig"] == {
        "temperature": 1.5,
        "topP": 0.9,
        "seed": 7,
        "maxOutputTokens": 99,
        "stopSequences": ["END"],
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "high"},
    }
    assert as_gemini(request, BUDGETED)["generationConfig"]["thinkingConfig"] == {
        "includeThoughts": True,
        "thinkingBudget": 24_576,
    }


def test_bedrock_is_told_all_that_converse_has_a_field_for() -> None:
    request = from_messages(
        {
            "role": "user",
            "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/jpg", "data": "AA"}}],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "tool_use", "id": "t.1", "name": "f", "input": {"a": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t.1", "content": "no", "is_error": True}]},
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        tools=[{"name": "f", "input_schema": {"type": "object"}}],
        tool_choice={"type": "auto"},
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
        stop_sequences=["END"],
        top_k=5,
    )
    body = bedrock_writer.write_request(request, LANE, Quirks(keeps_cache_control=True))
    assert body == {
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        "messages": [
            {"role": "user", "content": [{"image": {"format": "jpeg", "source": {"bytes": "AA"}}}]},
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                    {"toolUse": {"toolUseId": "t_1", "name": "f", "input": {"a": 1}}},
                ],
            },
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "t_1", "content": [{"text": "no"}], "status": "error"}}],
            },
        ],
        "inferenceConfig": {"maxTokens": 100, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}],
            "toolChoice": {"auto": {}},
        },
        "additionalModelRequestFields": {
            "top_k": 5,
            "thinking": {"type": "adaptive"},
            "output_config": {"effort": "high"},
        },
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_schema"}},
            "response_format.json_schema.schema",
        ),
        ({"messages": [{"role": "user", "content": "x"}], "reasoning_effort": "huge"}, "reasoning_effort"),
    ],
)
def test_what_cannot_be_carried_is_refused_with_the_field_at_fault(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        chat_reader.read_request(fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "takes_budget", "param"),
    [
        ({"thinking": {"type": "adaptive"}, "tool_choice": "auto"}, True, "tool_choice"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "huge"}}, True, "output_config.effort"),
        ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, False, "thinking.budget_tokens"),
    ],
)
def test_thinking_that_cannot_be_rewritten_for_a_model_is_refused_with_the_field_at_fault(
    fields: dict[str, Any], takes_budget: bool, param: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        as_taken({"max_tokens": 5_000, **fields}, takes_budget=takes_budget)
    assert caught.value.param == param


def test_thinking_is_rewritten_for_a_count_of_tokens_too_which_has_no_limit() -> None:
    body: dict[str, Any] = {"thinking": {"type": "adaptive"}}
    as_taken(body, takes_budget=True)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 64_000}
