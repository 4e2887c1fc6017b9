"""The makers' figures in a manifest: malformed ones are refused, and a gateway is shown those of its models."""

from pathlib import Path
from typing import Any

import pytest

from router.errors import BundleError
from router.pool_figures import figures_for, read_pool_figures


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "source": "sql", "work": "SQL", "keys": ["openai"], "models": ["openai/gpt-5", "openai/gpt-5-mini"],
        "prompts": 120, "is_small": False, "cost_basis": "paid", "gap_closed": 0.1, "lead": 0.02, "lead_low": 0.01,
        "lead_high": 0.03,
    } | changes  # fmt: skip


def test_figures_are_read_and_say_whether_routing_saves() -> None:
    pools = [entry(), entry(lead_low=-0.01), entry(is_small=True)]
    saving, idle, few = read_pool_figures({"pools": pools}, Path("manifest.json"))
    assert (saving.saves, idle.saves, few.saves) == (True, False, False)
    assert saving.models == ("openai/gpt-5", "openai/gpt-5-mini")
    assert read_pool_figures({}, Path("manifest.json")) == ()


@pytest.mark.parametrize(
    ("pools", "complaint"),
    [
        ({}, "pools is not a list"),
        ([7], r"pools\[0\] is not an object"),
        ([entry(), entry(work="")], r"pools\[1\]: work is not a text"),
        ([entry(models=[])], "models is not a list of texts"),
        ([entry(models=[3])], "models is not a list of texts"),
        ([entry(lead="high")], "lead is not a number"),
        ([entry(gap_closed=True)], "gap_closed is not a number"),
        ([entry(prompts=0)], "prompts is not a whole number"),
        ([entry(is_small=0)], "is_small is neither true nor false"),
        ([entry(lead_low=0.2)], "lead_low is above lead_high"),
        ([entry(lead=float("nan"))], "lead is not a number"),
    ],
)
def test_malformed_figures_are_refused_by_place(pools: object, complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint):
        read_pool_figures({"pools": pools}, Path("manifest.json"))


def test_the_largest_set_of_models_that_is_nearly_reached_counts() -> None:
    figures = read_pool_figures(
        {
            "pools": [
                entry(keys=["anthropic", "openai"], models=["anthropic/claude-opus-4.5", "openai/gpt-5", "openai/o3"]),
                entry(),
                entry(models=["openai/gpt-5"]),
                entry(source="chat", work="chat", models=["x-ai/grok-4"]),
            ]
        },
        Path("manifest.json"),
    )
    (sql, sql_is_own), (chat, chat_is_own) = figures_for(figures, {"openai/gpt-5", "openai/gpt-5-mini@high"})
    assert (sql.models, sql_is_own) == (("openai/gpt-5", "openai/gpt-5-mini"), True)
    assert (chat.work, chat_is_own) == ("chat", False)
    nearly = read_pool_figures({"pools": [entry(models=[f"acme/{name}" for name in "abcde"])]}, Path("manifest.json"))
    assert figures_for(nearly, {f"acme/{name}" for name in "abcd"}) == [(nearly[0], True)]
    assert figures_for(nearly, {f"acme/{name}" for name in "abc"}) == [(nearly[0], False)]
    ((strangers, is_own), _) = figures_for(figures, {"acme/one"})
    assert (len(strangers.models), is_own) == (3, False)
