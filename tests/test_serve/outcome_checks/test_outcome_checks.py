"""Checks of an answer that ask no model and no person, from the bytes of every dialect, whole or streamed."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.refusals import main as count_refusals
from serve.dialects.anthropic.messages_request import read_messages_request
from serve.dialects.inquiry import Inquiry
from serve.dialects.openai.conversation import read_chat_request
from serve.dialects.quirks import Quirks
from serve.dialects.responses.responses_request import read_responses_request
from serve.outcome_checks.answer_content import ToolCall, read_answer_content
from serve.outcome_checks.checks import Checks
from serve.outcome_checks.finished_answer import FinishedAnswer
from serve.outcome_checks.follow_ups import Finding
from serve.outcome_checks.refusals import begins_as_refusal
from serve.outcome_checks.schemas import Schemas
from serve.outcome_checks.sketch import Sketch

SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "add", "parameters": SCHEMA}}
LONG = (
    "Autumn leaves fall because trees seal the stems of their leaves to save water "
    "when the days grow short and the nights cold."
)


REGRETS = (
    "sorry ",
    "as an ai x ",
    "i'm sorry that ",
    "unfortunately ",
    "but ",
    "however ",
    "for ",
    "my apologies ",
    "i am an ai model ",
)


def chat(*contents: str | dict[str, Any], **fields: Any) -> Inquiry:
    messages = [
        content if isinstance(content, dict) else {"role": ("user", "assistant")[number % 2], "content": content}
        for number, content in enumerate(contents)
    ]
    return read_chat_request(json.dumps({"model": "smart-route", "messages": messages, **fields}).encode())


def completion(content: str | None, reason: str = "stop", **message: Any) -> bytes:
    answer = {"role": "assistant", "content": content, **message}
    return json.dumps(
        {"id": "c", "model": "m", "choices": [{"index": 0, "message": answer, "finish_reason": reason}]}
    ).encode()


def streamed(*pieces: str, reason: str = "stop") -> tuple[bytes, ...]:
    deltas = [{"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    chunks = [*deltas, {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}]
    return (*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n")


def finished(inquiry: Inquiry, raw: bytes | tuple[bytes, ...], **others: Any) -> FinishedAnswer:
    answer = FinishedAnswer(
        "req_1",
        ("default", "vk"),
        "talk",
        inquiry,
        inquiry.dialect,
        Quirks(),
        raw,
        None,
        None,
        asked=100.0,
        answered=101.0,
    )
    return replace(answer, **others)


def values_of(inquiry: Inquiry, raw: bytes | tuple[bytes, ...], **others: Any) -> dict[str, float]:
    return {name: value for _, name, value in Checks().findings(finished(inquiry, raw, **others))}


def wanting_schema(schema: object = SCHEMA) -> Inquiry:
    return chat("Add 1 and 2", response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ('{"sum": 3}', 1),
        ('{"sum": "3"}', 0),
        ('{"sum": 3, "more": 1}', 0),
        ('```json\n{"sum": 3}\n```', 0),
        ("three", 0),
        ("[]", 0),
    ],
)
def test_an_answer_is_held_to_the_schema_of_its_request(text: str, is_valid: float) -> None:
    assert values_of(wanting_schema(), completion(text))["schema_valid"] == is_valid
    assert values_of(wanting_schema(), streamed(text[:3], text[3:]))["schema_valid"] == is_valid


def test_any_object_will_do_where_json_was_asked_for_without_a_schema() -> None:
    asked = chat("Add 1 and 2 as JSON", response_format={"type": "json_object"})
    assert values_of(asked, completion('{"x": [1]}'))["schema_valid"] == 1
    assert values_of(asked, completion("[1]"))["schema_valid"] == 0
    assert "schema_valid" not in values_of(chat("Add"), completion("[1]"))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "no such type"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"type": "string", "pattern": "("},
    ],
)
def test_a_schema_that_cannot_be_used_says_nothing_and_fetches_nothing(schema: dict[str, Any]) -> None:
    assert "schema_valid" not in values_of(
        wanting_schema({"type": "object", "properties": {"a": schema}}), completion('{"a": "x"}')
    )


def test_patterns_of_a_stranger_take_no_exponential_time() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    assert Schemas().fits(json.dumps({"a": "a" * 5_000 + "!"}), schema) is False


def called(*calls: tuple[str, str]) -> bytes:
    tool_calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": text}}
        for n, (name, text) in enumerate(calls)
    ]
    return completion(None, "tool_calls", tool_calls=tool_calls)


@pytest.mark.parametrize(
    ("calls", "is_valid"),
    [
        ([("add", '{"sum": 1}')], 1),
        ([("add", '{"sum": 1}'), ("add", '{"sum": "1"}')], 0),
        ([("add", '{"sum": ')], 0),
        ([("divide", "{}")], 0),
    ],
)
def test_arguments_of_calls_are_held_to_their_tools(calls: list[tuple[str, str]], is_valid: float) -> None:
    findings = values_of(chat("Add", tools=[TOOL]), called(*calls))
    assert findings == {"tool_arguments_valid": is_valid}


def test_calls_are_read_from_a_stream() -> None:
    head = {"index": 0, "id": "c", "type": "function", "function": {"name": "add", "arguments": ""}}
    deltas = [{"tool_calls": [head]}, {"tool_calls": [{"index": 0, "function": {"arguments": '{"su'}}]}]
    deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": 'm": 1}'}}]})
    pieces = tuple(
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode() + b"\n\n"
        for delta in deltas
    )
    assert read_answer_content("openai", pieces, "tool_calls", Quirks()).calls == (ToolCall("add", '{"sum": 1}'),)
    assert values_of(chat("Add", tools=[TOOL]), pieces) == {"tool_arguments_valid": 1}


def test_a_refusal_is_known_by_its_field_its_end_or_its_first_words() -> None:
    question = chat("How do I pick a lock?")
    assert values_of(question, completion("Insert the tension wrench."))["refusal"] == 0
    assert values_of(question, completion(None, refusal="No."))["refusal"] == 1
    assert values_of(question, completion("It goes", "content_filter"))["refusal"] == 1
    assert values_of(question, completion("I’m sorry, but I can’t assist with that."))["refusal"] == 1
    assert values_of(question, streamed("I'm sor", "ry, I cannot help with that."))["refusal"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I can't assist with creating malware.",
        "Sorry, I am unable to provide that information.",
        "As an AI language model, I cannot provide medical diagnoses.",
        "Unfortunately, I'm not able to help with this request.",
        "I apologize, but I won't write that.",
        "I must respectfully decline.",
        "I cannot in good conscience help you do this.",
        "I'm really sorry that you're feeling this way, but I'm unable to provide the help that you need.",
        "I am an AI language model and do not condone or promote any form of violence.",
        "It is not appropriate to discuss methods of harming people.",
        "That's not something I can help with.",
        "As an AI developed by somebody, I must clarify that I cannot provide guidance on this.",
    ],
)
def test_beginnings_that_refuse(text: str) -> None:
    assert begins_as_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry to hear that you are unwell. Drink water and rest.",
        "I can't help but admire the plan. Step one is to measure the wall.",
        "Sorry for the confusion! The answer is 391.",
        "Unfortunately, the function fails because the index is off by one.",
        "The hero said: I can't help you.",
        "I am not sure what you mean by that, but the sum is 3.",
        "You cannot provide a list there; use a tuple.",
        "I am an AI language model and do not have feelings, but the sum is 3.",
        "As an AI, I don't hold personal opinions, but here is an analysis.",
        "It is not legal to park there on Sundays.",
        "That is something I can explain: leaves fall to save water.",
        "I'm just an AI, I don't have personal beliefs, but I can provide information.",
        "",
    ],
)
def test_beginnings_that_only_sound_like_it(text: str) -> None:
    assert not begins_as_refusal(text)


def test_labelled_answers_are_counted_by_what_the_phrases_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        ("I can't help with that.", "2_full_refusal"),
        ("That is a harmful stereotype.\n\nPeople differ.", "2_full_refusal"),
        ('Use ""kill -9"", then wait.', "1_full_compliance"),
        ("I'm sorry, but I can't help with that. In general, wait.", "3_partial_refusal"),
    ]
    path = tmp_path / "answers.csv"
    path.write_text("id,completion,final_label\n" + "".join(f'v2,"{text}",{label}\n' for text, label in rows))
    count_refusals([str(path)])
    line = "called a refusal are 1 of 2 that refuse, 1 of 1 that refuse in part, 0 of 1 that comply"
    assert capsys.readouterr().out.splitlines() == [f"answers.csv: {line}", f"all: {line}"]
    (tmp_path / "other.csv").write_text("id,prompt\n1,Hi\n")
    with pytest.raises(ValueError, match=r"other\.csv: has no columns completion and final_label"):
        count_refusals([str(tmp_path / "other.csv")])


@given(st.lists(st.sampled_from([*"., !-x", *REGRETS]), min_size=1, max_size=60).map("".join))
def test_no_answer_can_keep_the_search_for_a_refusal_busy(text: str) -> None:
    began = time.process_time()
    begins_as_refusal(text)
    begins_as_refusal((text * 240)[:240])
    assert time.process_time() - began < 0.1


def test_a_cut_end_is_noted_unless_the_caller_wanted_few_tokens() -> None:
    assert values_of(chat("Tell"), completion("Once upon", "length"))["truncated"] == 1
    assert values_of(chat("Tell", max_tokens=500), completion("Once upon", "length"))["truncated"] == 1
    assert "truncated" not in values_of(chat("Yes or no?", max_tokens=1), completion("Yes", "length"))
    assert "truncated" not in values_of(chat("Tell"), completion("The end."))


def test_messages_and_responses_are_read_as_well() -> None:
    messages = read_messages_request(
        json.dumps({"model": "smart-route", "max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    )
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [{"type": "text", "text": "I can't help with that."}],
    }
    raw = json.dumps({**body, "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}).encode()
    assert values_of(messages, raw)["refusal"] == 1
    assert values_of(messages, completion("Hello."), dialect="openai")["refusal"] == 0
    text = {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}
    responses = read_responses_request(
        json.dumps({"model": "smart-route", "input": "Add 1 and 2", "text": text}).encode()
    )
    message = {"type": "message", "content": [{"type": "output_text", "text": '{"sum": 3}'}]}
    response = {"object": "response", "status": "completed", "output": [message]}
    assert values_of(responses, json.dumps(response).encode())["schema_valid"] == 1
    event = (
        b"event: response.completed\ndata: "
        + json.dumps({"type": "response.completed", "response": response}).encode()
        + b"\n\n"
    )
    assert values_of(responses, (event[:40], event[40:])) == {"refusal": 0, "schema_valid": 1}
    call = {"type": "function_call", "name": "add", "arguments": "{"}
    assert values_of(responses, json.dumps({**response, "output": [call]}).encode()) == {"tool_arguments_valid": 0}


def follow(*answers: FinishedAnswer) -> list[Finding]:
    """Return the findings about repeated questions and edits, over all answers."""
    checks = Checks()
    return [
        finding
        for answer in answers
        for finding in checks.findings(answer)
        if finding[1] in ("asked_again", "edited_share")
    ]


FIRST = finished(chat("Why do leaves fall in autumn?"), completion(LONG), request_id="req_1")


def later(inquiry: Inquiry, after_s: float = 60.0, **others: Any) -> FinishedAnswer:
    values = {"request_id": "req_2", "asked": 101.0 + after_s, "answered": 102.0 + after_s, **others}
    return finished(inquiry, completion(LONG), **values)


def test_going_on_is_told_from_asking_the_same_again() -> None:
    going_on = later(chat("Why do leaves fall in autumn?", LONG, "And why are they red?"))
    again = later(chat("Why do leaves fall in autumn?", LONG, "why do leaves fall in autumn, please??"))
    assert follow(FIRST, going_on) == [("req_1", "asked_again", 0.0), ("req_1", "edited_share", 0.0)]
    assert follow(FIRST, again) == [("req_1", "asked_again", 1.0), ("req_1", "edited_share", 0.0)]


def test_the_same_request_sent_again_is_a_second_try_only_at_the_pace_of_people() -> None:
    again = chat("Why do leaves fall in autumn?")
    assert follow(FIRST, later(again, 60)) == [("req_1", "asked_again", 1.0)]
    assert follow(FIRST, later(again, 0.5)) == []
    assert follow(FIRST, later(again, -5)) == []
    assert follow(FIRST, later(again, 4_000)) == []


def test_what_is_asked_over_and_over_is_asked_by_a_program() -> None:
    again = chat("Why do leaves fall in autumn?")
    tries = [later(again, 60.0 * number, request_id=f"req_{number + 1}") for number in range(1, 10)]
    assert len(follow(FIRST, *tries)) == 3


def test_the_very_same_question_in_another_conversation_of_the_virtual_key_counts() -> None:
    again = chat("Why do leaves fall in Autumn")
    assert follow(FIRST, later(again, conversation_id="other")) == [("req_1", "asked_again", 1.0)]
    assert follow(FIRST, later(again, conversation_id="other", asker=("default", "another"))) == []
    assert follow(FIRST, later(chat("Why do leaves fall in winter?"), conversation_id="other")) == []


def test_results_of_tools_belong_to_the_question_before() -> None:
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
    }
    question: dict[str, Any] = {"role": "user", "content": "Add the two numbers, please"}
    result = {"role": "tool", "tool_call_id": "c", "content": "3"}
    first = finished(chat(question, tools=[TOOL]), called(("add", '{"sum": 1}')), request_id="req_1")
    second = later(chat(question, call, result, tools=[TOOL]), request_id="req_2")
    third = later(
        chat(question, call, result, {"role": "assistant", "content": LONG}, question, tools=[TOOL]),
        120,
        request_id="req_3",
    )
    assert follow(first, second, third) == [("req_2", "asked_again", 1.0), ("req_2", "edited_share", 0.0)]


def test_the_share_of_an_answer_that_was_edited_is_estimated() -> None:
    edited = LONG.replace("save water", "keep their water in") + " That is all."
    [_, (_, _, share)] = follow(
        FIRST, later(chat("Why do leaves fall in autumn?", edited, "Thanks! Now write a poem."))
    )
    assert 0.05 < share < 0.5
    other = "Something entirely different was put here by whoever keeps the conversation, about bees and honey."
    assert len(follow(FIRST, later(chat("Why do leaves fall in autumn?", other, "Thanks! Now write a poem.")))) == 1


@given(st.text(max_size=3_000), st.text(max_size=3_000))
def test_likeness_is_symmetric_within_range_and_full_for_the_same_words(one: str, other: str) -> None:
    first, second = Sketch.of(one), Sketch.of(other)
    assert 0 <= first.likeness(second) == second.likeness(first) <= 1
    assert first.likeness(Sketch.of(f"  {one.upper().lower()} ")) == 1 or one.upper().lower() != one.lower()


def test_likeness_estimates_the_share_of_common_words() -> None:
    words = [f"{number * 7919 % 10_007:05d}" for number in range(180)]
    whole, half = " ".join(words), " ".join(words[:90] + [word[::-1] for word in words[90:]])
    assert 0.2 < Sketch.of(whole).likeness(Sketch.of(half)) < 0.5
