"""Every field, type of tool and type of part of the official SDKs has a row in data/fields.yaml."""

import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import anthropic.types.beta as anthropic_beta
import pytest
import typing_extensions
import yaml
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from openai.types import chat as openai_chat
from openai.types import responses as openai_responses
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from serve.dialects.field_needs import NO_NEEDS
from serve.dialects.field_table import fields_of, load_fields
from serve.errors import BadRequestError, ConfigurationError
from serve.packaged_files import data_dir

CHAT, MESSAGES, RESPONSES = "openai", "anthropic", "responses"


def types_in(hint: Any) -> Iterator[str]:
    """Yield the values of `type` of every kind of object that a type of an SDK allows."""
    fields = getattr(hint, "__annotations__", None)
    if fields is None or not hasattr(hint, "__total__"):
        for inner in typing.get_args(hint):
            if inner is not type(None) and typing.get_origin(hint) is not Literal:
                yield from types_in(inner)
        return
    kind = fields.get("type")
    text = kind.__forward_arg__ if isinstance(kind, typing.ForwardRef) else str(kind)
    literal = re.search(r"Literal\[([^\]]*)\]", text)
    if literal:
        yield from re.findall(r"""["']([^"']+)["']""", literal[1])


SDK_FIELDS: list[tuple[str, Any]] = [
    (CHAT, completion_create_params.CompletionCreateParamsBase),
    (CHAT, completion_create_params.CompletionCreateParamsStreaming),
    (RESPONSES, response_create_params.ResponseCreateParamsBase),
    (RESPONSES, response_create_params.ResponseCreateParamsStreaming),
    (MESSAGES, message_create_params.MessageCreateParamsBase),
    (MESSAGES, message_create_params.MessageCreateParamsStreaming),
    (MESSAGES, beta_message_create_params.MessageCreateParamsBase),
]
SDK_TOOLS: list[tuple[str, Any]] = [
    (CHAT, openai_chat.ChatCompletionToolUnionParam),
    (RESPONSES, openai_responses.ToolParam),
    (MESSAGES, anthropic_beta.BetaToolUnionParam),
    (MESSAGES, message_create_params.ToolUnionParam),
]
SDK_PARTS: list[tuple[str, Any]] = [
    (CHAT, openai_chat.ChatCompletionContentPartParam),
    (RESPONSES, openai_responses.ResponseInputItemParam),
    (RESPONSES, openai_responses.response_input_message_content_list_param.ResponseInputContentParam),
    (MESSAGES, anthropic_beta.BetaContentBlockParam),
]


@pytest.mark.parametrize(("door", "params"), SDK_FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_every_field_of_an_sdk_has_a_row(door: str, params: Any) -> None:
    names = set(params.__annotations__)  # those of its bases too: it is a TypedDict
    assert len(names) > 15
    assert names - fields_of(door).fields.keys() == set()


@pytest.mark.parametrize(("door", "union"), SDK_TOOLS)
def test_every_type_of_tool_of_an_sdk_has_a_row(door: str, union: Any) -> None:
    kinds = set(types_in(union))
    assert len(kinds) >= 2
    assert {kind for kind in kinds if fields_of(door).tool(kind) is None} == set()


@pytest.mark.parametrize(("door", "union"), SDK_PARTS)
def test_every_type_of_part_of_an_sdk_has_a_row(door: str, union: Any) -> None:
    kinds = set(types_in(union))
    assert len(kinds) >= 3
    assert kinds - fields_of(door).parts.keys() == set()


def test_the_walk_would_find_a_type_that_is_new() -> None:
    class New(typing_extensions.TypedDict):
        type: typing_extensions.Required[Literal["brand_new"]]

    assert list(types_in(openai_chat.ChatCompletionToolUnionParam | New)) == ["function", "custom", "brand_new"]


def test_the_rows_are_sorted() -> None:
    text = (data_dir() / "fields.yaml").read_text(encoding="utf-8")
    for door in yaml.safe_load(text)["doors"].values():
        for group in door.values():
            assert list(group) == sorted(group)


@pytest.mark.parametrize(
    ("body", "hints", "binding", "unknown"),
    [
        ({"messages": [], "temperature": 1, "route": {}}, (), (), ()),
        ({"usage": {"include": True}, "include_reasoning": True, "transforms": []}, ("usage",), (), ()),
        ({"logit_bias": None, "audio": None, "prediction": None, "brand_new": None}, (), (), ()),
        ({"logit_bias": {}, "modalities": ["text"], "plugins": [], "top_logprobs": 0}, (), (), ()),
        ({"logit_bias": {"50256": -100}, "modalities": ["text", "audio"]}, (), ("logit_bias", "modalities"), ()),
        ({"verbosity": "low", "min_p": 0.1, "brand_new": 1}, ("min_p", "verbosity"), (), ("brand_new",)),
    ],
)
def test_what_the_fields_of_the_chat_door_mean_elsewhere(
    body: dict[str, Any], hints: tuple[str, ...], binding: tuple[str, ...], unknown: tuple[str, ...]
) -> None:
    needs = fields_of(CHAT).needs(body)
    assert (needs.hints, needs.binding, needs.unknown) == (hints, binding, unknown)


def test_a_request_of_common_fields_needs_nothing_and_no_row_is_looked_at() -> None:
    assert fields_of(CHAT).needs({"model": "m", "messages": [], "stream": True}, ["function"]) is NO_NEEDS


@pytest.mark.parametrize(
    ("edits", "is_hint"),
    [
        ([{"type": "clear_thinking_20251015", "keep": "all"}], True),
        ([{"type": "clear_tool_uses_20250919"}, {"type": "compact_20260112"}], True),
        ([{"type": "clear_thinking_20251015"}, {"type": "rewrite_20270101"}], False),
    ],
)
def test_context_management_is_a_hint_if_it_only_saves_tokens(edits: list[Any], is_hint: bool) -> None:
    needs = fields_of(MESSAGES).needs({"context_management": {"edits": edits}})
    assert (needs.hints, needs.binding) == ((("context_management",), ()) if is_hint else ((), ("context_management",)))


@pytest.mark.parametrize(
    ("kinds", "demanded", "hints", "binding"),
    [
        (["custom", "bash_20250124", "text_editor_20250728", "memory_20250818"], None, (), ()),
        (["custom", "web_search_20250305"], None, ("tools.web_search_20250305",), ()),
        (["web_search_20250305"], None, (), ("tools.web_search_20250305",)),
        (["custom", "web_search_20250305"], "web_search_20250305", (), ("tools.web_search_20250305",)),
        (["custom", "code_execution_20250825"], None, (), ("tools.code_execution_20250825",)),
        (["custom", "brand_new_20270101"], None, (), ("tools.brand_new_20270101",)),
    ],
)
def test_a_search_that_is_only_offered_is_left_out_and_one_that_is_demanded_is_not(
    kinds: Iterable[str], demanded: str | None, hints: tuple[str, ...], binding: tuple[str, ...]
) -> None:
    needs = fields_of(MESSAGES).needs({}, list(kinds), demanded)
    assert (needs.hints, needs.binding) == (hints, binding)


def test_state_of_one_provider_is_refused_by_name_unless_it_is_empty() -> None:
    fields = fields_of(RESPONSES)
    assert fields.needs({"previous_response_id": None, "background": False}).binding == ()
    with pytest.raises(BadRequestError, match=r"^previous_response_id needs state .* Send the whole conversation"):
        fields.needs({"previous_response_id": "resp_1"})


def test_providers_that_refuse_a_field_get_the_request_without_it() -> None:
    assert {"usage", "transforms", "min_p"} <= fields_of(CHAT).unknown_to("openai")
    assert "verbosity" not in fields_of(CHAT).unknown_to("openai")
    assert "usage" not in fields_of(CHAT).unknown_to("openrouter")


ROW = "sources: {s: {where: somewhere, checked_on: 2026-12-01}}\ndoors: {d: {fields: {f: %s}, tools: {}, parts: {}}}"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("{is: hint, from: nowhere}", "doors.d: f: there is no source 'nowhere'"),
        ("{is: translated, from: s}", "doors.d: f: 'how' belongs to"),
        ("{is: hint, refused: no, from: s}", "Expected `str"),
        ("{is: hint, refused: 'no', from: s}", "only state can be refused"),
        ("{is: guess, from: s}", "Invalid enum value 'guess'"),
        ("{is: hint, form: s}", "unknown field `form`"),
    ],
)
def test_a_malformed_row_is_refused_with_its_name(row: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "fields.yaml"
    path.write_text(ROW % row)
    with pytest.raises(ConfigurationError, match=complaint):
        load_fields(path)
