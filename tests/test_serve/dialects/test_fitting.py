"""Requests in the form that a provider accepts: names, ids, schemas, values that only fit alone."""

import re
from typing import Any

import pytest
from dialect_strategies import call_ids, requests, words
from hypothesis import given
from hypothesis import strategies as st

from serve.catalogue.dialect_rows import load_dialect_rows
from serve.dialects.neutral.accepted_names import accepted_call_id, accepted_tool_name, accepted_user
from serve.dialects.neutral.fitting import fitted, forms_of, turns_with_thoughts
from serve.dialects.neutral.parts import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from serve.dialects.neutral.request import NeutralRequest, OutputFormat, Reasoning, Sampling, Tool, Turn
from serve.dialects.neutral.schema_subset import fit_schema, is_strict, object_schema
from serve.dialects.quirks import NO_QUIRKS, Quirks
from serve.packaged_files import data_dir

ROWS = load_dialect_rows(data_dir() / "dialects.yaml")
ANTHROPIC = ROWS.schema_subsets["anthropic"]
HELLO = (Turn("user", (TextPart("hello"),)),)


@given(requests())
def test_a_request_that_every_provider_accepts_stays_as_it_is(request: NeutralRequest) -> None:
    assert fitted(request, NO_QUIRKS) == request


@given(
    st.lists(call_ids, unique=True, max_size=20),
    st.sampled_from([Quirks(call_id_length=9), Quirks(longest_call_id=16)]),
)
def test_different_ids_stay_different_and_an_accepted_one_stays(ids: list[str], quirks: Quirks) -> None:
    accepted = [accepted_call_id(call_id, quirks) for call_id in ids]
    assert len(set(accepted)) == len(ids)
    assert [accepted_call_id(call_id, quirks) for call_id in accepted] == accepted


@given(st.lists(words | st.text(min_size=1), unique=True, max_size=10), st.sampled_from([16, 64, 128]), st.booleans())
def test_names_of_tools_are_accepted_and_come_back(names: list[str], longest: int, begins: bool) -> None:
    quirks = Quirks(longest_tool_name=longest, names_begin_with_letter=begins)
    sent = [accepted_tool_name(name, quirks) for name in names]
    assert len(set(sent)) == len(names)
    assert all(re.fullmatch("[A-Za-z0-9_-]+", name) and len(name) <= longest for name in sent)
    assert not begins or all(re.match("[A-Za-z_]", name) for name in sent)
    forms = forms_of(NeutralRequest((), HELLO, tuple(Tool(name, None, {}) for name in names)), quirks)
    assert [forms[name].name if name in forms else name for name in sent] == names


@pytest.mark.parametrize(
    ("user", "is_hashed"),
    [("ada", False), ("ada@example.org", True), ("+49 30 1234567", True), ("1f0c", False), ("x" * 65, True)],
)
def test_ids_of_users_that_are_refused_are_hashed(user: str, is_hashed: bool) -> None:
    sent = accepted_user(user, Quirks(longest_user=64, hides_addresses=True))
    assert (sent != user) == is_hashed
    assert not is_hashed or re.fullmatch("user_[0-9a-f]{32}", sent)
    assert accepted_user(user, NO_QUIRKS) == user


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "integer", "minimum": 1}, {"type": "integer", "description": "{minimum: 1}"}),
        (
            {"type": "string", "description": "A name.", "pattern": "^a", "format": "email"},
            {"type": "string", "format": "email", "description": 'A name.\n\n{pattern: "^a"}'},
        ),
        ({"type": "string", "format": "color"}, {"type": "string", "description": '{format: "color"}'}),
        ({"type": "array", "items": {}, "minItems": 1}, {"type": "array", "items": {}, "minItems": 1}),
        ({"type": "array", "minItems": 2}, {"type": "array", "description": "{minItems: 2}"}),
        ({"oneOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}),
        ({"$ref": "#/$defs/a", "description": "x"}, {"$ref": "#/$defs/a"}),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "null"}, {"type": "null"}),
        (
            {"type": "object", "additionalProperties": True, "properties": {"minimum": {"maximum": 3}}},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {"minimum": {"description": "{maximum: 3}"}},
            },
        ),
        (
            {"$defs": {"a": {"type": "object"}}, "$ref": "#/$defs/a"},
            {"$defs": {"a": {"type": "object", "additionalProperties": False}}, "$ref": "#/$defs/a"},
        ),
    ],
)
def test_what_a_subset_lacks_moves_into_the_description(schema: dict[str, Any], wanted: dict[str, Any]) -> None:
    before = repr(schema)
    assert fit_schema(schema, ANTHROPIC) == wanted
    assert fit_schema(wanted, ANTHROPIC) == wanted
    assert repr(schema) == before


def test_a_const_is_an_enum_where_there_are_no_consts() -> None:
    assert fit_schema({"const": "a"}, ROWS.schema_subsets["gemini"]) == {"enum": ["a"]}


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "object", "properties": {}}, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, True),
        ({"type": "object", "properties": {"a": {}}}, False),
        ({"type": "object", "properties": {"a": {"type": "object"}}, "required": ["a"]}, False),
        ({"anyOf": [{"type": "object", "properties": {"a": {}}}]}, False),
        ({"type": "array", "items": {"allOf": [{}]}}, False),
        ({"type": "string"}, True),
    ],
)
def test_a_schema_is_strict_if_it_is_closed_and_needs_every_key(schema: dict[str, Any], wanted: bool) -> None:
    closed = {**schema, "additionalProperties": False} if schema.get("type") == "object" else schema
    assert is_strict(closed) == wanted
    assert not is_strict(schema) or closed is schema


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({}, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        (
            {"type": "object", "allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}]},
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
        ),
        (
            {"oneOf": [{"properties": {"a": {}}, "required": ["a"]}, {"$ref": "#/x"}]},
            {"type": "object", "properties": {"a": {}}},
        ),
    ],
)
def test_arguments_of_tools_are_an_object_without_choices_at_its_top(
    schema: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert object_schema(schema) == wanted


def test_only_the_first_of_parameters_that_exclude_each_other_is_sent() -> None:
    request = NeutralRequest((), HELLO, sampling=Sampling(temperature=0.5, top_p=0.9))
    sampling = fitted(request, Quirks(exclusive_parameters=("temperature", "top_p"))).sampling
    assert (sampling.temperature, sampling.top_p) == (0.5, None)


@pytest.mark.parametrize(("reasoning", "kept"), [(None, 0.5), (Reasoning("none"), 0.5), (Reasoning("high"), None)])
def test_what_is_refused_with_thinking_is_left_out_only_then(reasoning: Reasoning | None, kept: float | None) -> None:
    request = NeutralRequest((), HELLO, sampling=Sampling(temperature=0.5), reasoning=reasoning)
    assert fitted(request, ROWS.quirks_of("anthropic")).sampling.temperature == kept


@pytest.mark.parametrize(("asked", "sent"), [(True, False), (False, False), (None, None)])
def test_a_format_is_strict_only_if_the_caller_asks_for_it_and_the_schema_is(
    asked: bool | None, sent: bool | None
) -> None:
    open_schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    request = NeutralRequest((), HELLO, output_format=OutputFormat(open_schema, is_strict=asked))
    wanted = fitted(request, ROWS.quirks_of("openai")).output_format
    assert wanted is not None
    assert (wanted.is_strict, wanted.schema) == (sent, open_schema)


def test_blank_stop_sequences_are_left_out_where_they_are_refused() -> None:
    request = NeutralRequest((), HELLO, stop=("\n", "END"))
    assert fitted(request, ROWS.quirks_of("anthropic")).stop == ("END",)
    assert fitted(request, ROWS.quirks_of("openai")).stop == ("\n", "END")


def test_a_turn_that_holds_only_a_foreign_thought_is_left_out_and_its_neighbours_are_joined() -> None:
    turns = (*HELLO, Turn("assistant", (ReasoningPart("hm"),)), Turn("user", (TextPart("more"),)))
    assert turns_with_thoughts(turns, lambda thought: False) == (Turn("user", (TextPart("hello"), TextPart("more"))),)
    assert turns_with_thoughts(turns, lambda thought: True) == turns


def test_a_request_that_offers_tools_is_not_offered_others_that_it_called_before() -> None:
    turns = (
        *HELLO,
        Turn("assistant", (ToolCallPart("c1", "old", "{}"),)),
        Turn("user", (ToolResultPart("c1", (TextPart("x"),)),)),
    )
    quirks = ROWS.quirks_of("anthropic")
    offered = fitted(NeutralRequest((), turns, (Tool("new", None, {"type": "object"}),)), quirks)
    assert [tool.name for tool in offered.tools] == ["new"]
    bare = fitted(NeutralRequest((), turns), quirks)
    assert [tool.name for tool in bare.tools] == ["old"]
    assert bare.tool_choice is not None
    assert bare.tool_choice.mode == "none"
