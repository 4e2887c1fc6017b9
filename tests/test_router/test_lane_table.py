"""The names by which lanes are asked for, and the lanes that a policy may choose."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from router.lane import Lane
from router.lane_table import LaneTable
from router.price_table import Price

PRICE = Price(Decimal(1), Decimal(2), "made up", date(2026, 11, 30))


def lane(provider: str, upstream_model: str, vendor_model: str, **more: Any) -> Lane:
    return Lane(f"{provider}/{upstream_model}", provider, upstream_model, vendor_model, provider, PRICE, **more)


LANES = [
    lane("openai", "gpt-5-mini", "openai/gpt-5-mini"),
    lane("openai", "gpt-4o", "openai/gpt-4o"),
    lane("openai", "gpt-4o-2024-05-13", "openai/gpt-4o", is_alternate=True),
    lane("openrouter", "openai/gpt-5-mini", "openai/gpt-5-mini"),
    lane("openrouter", "openai/gpt-oss-20b:free", "openai/gpt-oss-20b", is_alternate=True),
    lane("groq", "llama-3.3-70b-versatile", "meta-llama/llama-3.3-70b-instruct"),
]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("openai/gpt-5-mini", (0, 3)),
        ("gpt-5-mini", (0, 3)),
        ("gpt-5-mini-2025-08-07", (0, 3)),
        ("openai/gpt-5-mini-2025-08-07", (0, 3)),
        ("openai:gpt-5-mini-2025-08-07", (0,)),
        ("openrouter/openai/gpt-5-mini-2025-08-07", (3,)),
        ("openai/gpt-4o", (1,)),
        ("gpt-4o-2024-05-13", (2,)),
        ("gpt-4o-2024-11-20", (1,)),
        ("openai/gpt-oss-20b:free", (4,)),
        ("openai/gpt-oss-20b", ()),
        ("openai/gpt-5-mini:free", ()),
        ("meta/llama-3.3-70b-instruct", (5,)),
        ("groq/Llama-3.3-70B-Instruct", (5,)),
        ("groq:llama-3.3-70b", (5,)),
        ("openai:llama-3.3-70b", ()),
        ("gpt-5", ()),
        ("gpt-5-min", ()),
        ("", ()),
    ],
)
def test_a_model_is_found_by_every_spelling_of_its_name(name: str, rows: tuple[int, ...]) -> None:
    assert LaneTable.build(LANES, ()).find(name) == rows


def test_a_bundle_knows_a_model_by_any_spelling() -> None:
    names = ("meta/llama-3.3-70b-instruct", "gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "other/x")
    table = LaneTable.build(LANES, names)
    assert table.trained_index.tolist() == [-1, 2, 2, -1, -1, 0]
    exact = LaneTable.build([lane("openai", "gpt-4o", "openai/gpt-4o", trained_name="gpt-4o-2024-05-13")], names)
    assert exact.trained_index.tolist() == [1]


def test_a_policy_may_choose_lanes_that_the_bundle_knows_and_those_that_are_always_allowed() -> None:
    lanes = [
        lane("openai", "gpt-4o", "openai/gpt-4o", choice="if_known"),
        lane("openai", "gpt-5-mini", "openai/gpt-5-mini", choice="if_known"),
        lane("openai", "gpt-4o-2024-05-13", "openai/gpt-4o", choice="never"),
        lane("server", "mine", "server/mine"),
    ]
    assert LaneTable.build(lanes, ["openai/gpt-4o"]).choosable().tolist() == [True, False, False, True]


def test_the_first_lanes_keep_their_rows() -> None:
    table = LaneTable.build(LANES, ())
    assert table.first(len(LANES), ()) is table
    assert table.first(2, ()).lane_ids == table.lane_ids[:2]


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("openai/gpt5-mini", ("openai/gpt-5-mini",)),
        ("gpt-4.o", ("openai/gpt-4o",)),
        ("llama-3.3-70b-instrukt", ("meta-llama/llama-3.3-70b-instruct",)),
        ("groq:llama-3.3-70-instruct", ("meta-llama/llama-3.3-70b-instruct",)),
        ("groq:gpt-5-minni", ()),
        ("gpt-5-minni:free", ("openai/gpt-5-mini",)),
        ("zzz", ()),
        ("", ()),
        ("x" * 100_000, ()),
    ],
)
def test_a_misspelt_name_has_close_ones(name: str, close: tuple[str, ...]) -> None:
    assert LaneTable.build(LANES, ()).close_names(name)[:1] == close


def test_a_retired_offer_answers_to_the_name_of_its_model_only_if_there_is_no_other() -> None:
    lanes = [
        lane("openai", "gpt-oss-20b", "openai/gpt-oss-20b", choice="never"),
        lane("groq", "openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        lane("groq", "old", "vendor/old", choice="never"),
    ]
    table = LaneTable.build(lanes, ())
    assert table.find("openai/gpt-oss-20b") == (1,)
    assert table.find("openai:gpt-oss-20b") == (0,)
    assert table.find("vendor/old") == (2,)
