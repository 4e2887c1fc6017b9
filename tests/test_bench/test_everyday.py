"""The bench on the everyday suite decides as a gateway does, and its figures are right on decisions made by hand."""

import json
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from any_lane import LANE
from checkout import ROOT, SHIPPED_BUNDLE
from fakes.gateway_thread import GatewayThread

from bench.everyday import PROVIDERS, judge_bundle, main, report_text
from bench.everyday_decisions import EverydayDecisions, decide_suite, lanes_of, made_up_keys, visible_and_reasoning
from bench.everyday_measures import TARGETS, Measures, PromptRow, best_row, measure, prompt_rows, weak_rows
from bench.everyday_suite import read_suite
from router.expectation import Expectation
from router.lane import Lane
from serve.errors import ConfigurationError

SUITE = read_suite(ROOT / "data" / "everyday")
FIGURES = {target.measure for target in TARGETS} | {
    "too_short",
    "too_long",
    "lead_over_median_grows",
    "difficulty_grows",
    "easy_tokens",
    "hard_tokens",
}


def row(prompt_id: str, level: int, **changes: object) -> PromptRow:
    whole = PromptRow(
        id=prompt_id,
        kind="tea",
        level=level,
        least_tokens=10,
        most_tokens=100,
        visible_tokens=50.0,
        reasoning_tokens=0.0,
        prompt_tokens=10 * level,
        difficulty=float(level),
        lane="acme/one",
        model="acme/one",
        quality=0.9,
        cost_usd=0.01,
        best_quality=0.9,
        best_cost_usd=0.1,
        weak_quality=0.8,
        median_quality=0.85,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def lane(name: str) -> Lane:
    return replace(LANE, lane_id=f"acme/{name}", vendor_model=f"acme/{name}")


def decisions(quality: list[list[float]], cost: list[list[float]], chosen: list[int]) -> EverydayDecisions:
    """Return decisions on the first prompts of the suite, over lanes called a, b, …."""
    qualities = np.array(quality)
    n_prompts, n_lanes = qualities.shape
    return EverydayDecisions(
        prompts=SUITE[:n_prompts],
        unanswered=(),
        lanes=tuple(lane("abcdefghijklmnopqrstuvwxyz"[place]) for place in range(n_lanes)),
        chosen=np.array(chosen, np.intp),
        prompt_tokens=np.ones(n_prompts, np.int64),
        difficulty=np.zeros(n_prompts),
        quality=qualities,
        cost_usd=np.array(cost),
        visible_tokens=np.full(qualities.shape, 50.0),
        reasoning_tokens=np.zeros(qualities.shape),
        is_eligible=np.ones(qualities.shape, np.bool_),
    )


def expectation(tokens: list[float]) -> Expectation:
    return Expectation(*(np.array(tokens) for _ in range(5)))


def test_lengths_are_compared_with_the_range_and_its_ends_belong_to_it() -> None:
    lengths = [9.9, 10.0, 100.0, 100.1]
    measures = measure([row(f"tea-{n}", 1, visible_tokens=length) for n, length in enumerate(lengths)])
    assert (measures.too_short, measures.in_range, measures.too_long) == (0.25, 0.5, 0.25)


def test_leads_and_difficulties_are_compared_within_a_kind() -> None:
    rows = [
        row("tea-1", 3, weak_quality=0.8),
        row("tea-2", 8, weak_quality=0.5, median_quality=0.9),
        row("tea-3", 10, weak_quality=0.8, difficulty=1.0, prompt_tokens=30),
        row("tea-4", 5, weak_quality=0.0),
        row("rum-1", 9, kind="rum", weak_quality=0.1),
    ]
    measures = measure(rows)
    assert measures.n_pairs == 2
    assert measures.lead_grows == 0.5
    assert measures.lead_over_median_grows == 0.0
    assert measures.difficulty_grows == 0.5
    assert measures.prompt_grows == 0.5
    assert measures.easy_lead == pytest.approx(0.1)
    assert measures.hard_lead == pytest.approx((0.4 + 0.1 + 0.8) / 3)


def test_savings_count_on_easy_prompts_and_lost_quality_on_hard_ones() -> None:
    rows = [
        row("tea-1", 1, cost_usd=0.002, best_cost_usd=0.1, quality=0.1),
        row("tea-2", 2, cost_usd=0.1, best_cost_usd=0.1, lane="acme/two", model="acme/one"),
        row("tea-3", 8, cost_usd=9.0, quality=0.7),
        row("tea-4", 9, cost_usd=9.0, quality=0.9, lane="acme/three", model="acme/three"),
    ]
    measures = measure(rows)
    assert measures.easy_cost_share == pytest.approx((0.02 + 1.0) / 2)
    assert measures.hard_shortfall == pytest.approx(0.1)
    assert (measures.distinct_lanes, measures.distinct_models) == (3, 2)


def test_what_the_prompts_do_not_show_is_unknown_and_misses_its_target() -> None:
    measures = measure([row("tea-1", 5)])
    assert measures.easy_cost_share is None
    assert measures.lead_grows is None
    assert [target.measure for target in TARGETS if target.holds(measures)] == ["in_range"]


@pytest.mark.parametrize(
    ("measure_name", "good", "bad"),
    [
        ("in_range", 0.85, 0.84),
        ("lead_grows", 0.85, 0.84),
        ("easy_cost_share", 0.1, 0.11),
        ("hard_shortfall", 0.05, 0.051),
        ("distinct_lanes", 4, 3),
    ],
)
def test_a_target_holds_at_its_value_and_not_beyond(measure_name: str, good: float, bad: float) -> None:
    (target,) = [target for target in TARGETS if target.measure == measure_name]
    measures: Measures = measure([row("tea-1", 1)])
    assert target.holds(replace(measures, **{measure_name: good}))  # type: ignore[arg-type]
    assert not target.holds(replace(measures, **{measure_name: bad}))  # type: ignore[arg-type]


def test_the_best_lane_is_the_cheapest_of_the_best_and_weak_lanes_are_the_cheapest_tenth() -> None:
    quality = [[0.5] * 18 + [0.9, 0.9, 0.9]] * 2
    cost = [[0.1 + place / 100 for place in range(18)] + [3.0, 2.0, 0.01]] * 2
    handmade = decisions(quality, cost, [0, 20])
    assert best_row(handmade) == 20
    assert weak_rows(handmade, 20).tolist() == [0, 1]
    excluded = handmade.is_eligible.copy()
    excluded[0, 20] = False
    assert best_row(replace(handmade, is_eligible=excluded)) == 19


def test_a_single_lane_is_compared_with_itself() -> None:
    handmade = decisions([[0.7]], [[0.1]], [0])
    (only,) = prompt_rows(handmade)
    assert (only.best_quality, only.weak_quality, only.lane) == (0.7, 0.7, "acme/a")


def test_reasoning_is_taken_off_the_completion_if_the_bundle_predicts_it() -> None:
    class Reasoned:
        completion_tokens = np.array([500.0, 50.0])
        reasoning_tokens = np.array([400.0, 60.0])

    visible, reasoning = visible_and_reasoning(Reasoned())  # type: ignore[arg-type]
    assert (visible.tolist(), reasoning.tolist()) == ([100.0, 0.0], [400.0, 60.0])
    visible, reasoning = visible_and_reasoning(expectation([500.0]))
    assert (visible.tolist(), reasoning.tolist()) == ([500.0], [0.0])


def test_a_key_is_made_up_for_each_provider_in_the_variable_that_it_is_read_from() -> None:
    assert made_up_keys(["groq", "xai"]) == {"GROQ_API_KEY": "gsk_made-up", "XAI_API_KEY": "xai-made-up"}
    with pytest.raises(ConfigurationError, match=r"'acme'.*anthropic"):
        made_up_keys(["acme"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--keys", "acme"], "'acme'"),
        (["--bundle", "nowhere"], "nowhere"),
        (["--suite", "nowhere"], "no .yaml files"),
    ],
)
def test_wrong_arguments_end_with_a_line_that_says_why(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


@pytest.mark.slow
def test_it_decides_as_a_gateway_with_these_keys_does(tmp_path: Path) -> None:
    prompts = SUITE[::13]
    directory, settings = lanes_of(SHIPPED_BUNDLE, ["openai", "groq"])
    here = decide_suite(prompts, directory, settings)
    with GatewayThread(tmp_path, made_up_keys(["openai", "groq"]), bundle=str(SHIPPED_BUNDLE)) as gateway:
        answers = [httpx.post(f"{gateway.url}/v1/route", json=prompt.body).json() for prompt in prompts]

    assert [answer["chosen"] for answer in answers] == [here.lanes[chosen].lane_id for chosen in here.chosen]
    for place, answer in enumerate(answers):
        there = {candidate["lane"]: candidate for candidate in answer["candidates"]}
        assert sorted(there) == sorted(lane.lane_id for lane in here.lanes)
        for column, lane in enumerate(here.lanes):
            candidate = there[lane.lane_id]
            assert candidate["quality"] == pytest.approx(here.quality[place, column], rel=1e-5)
            assert candidate["cost_usd"] == pytest.approx(here.cost_usd[place, column], rel=1e-5)
            assert (candidate["excluded_by"] is None) == here.is_eligible[place, column]


@pytest.mark.slow
def test_the_shipped_bundle_is_judged_on_all_prompts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures" / "everyday.json"

    assert main(["--out", str(out)]) == 0

    printed = capsys.readouterr().out
    figures = json.loads(out.read_text())
    assert figures["unanswered"] == []
    assert [prompt["id"] for prompt in figures["prompts"]] == [prompt.id for prompt in SUITE]
    assert len(figures["kinds"]) == 20
    assert all(figures["whole"][name] is not None for name in FIGURES)
    assert figures["kinds"]["Greetings and small talk"]["hard_tokens"] is None
    verdicts = [line.split()[0] for line in printed.splitlines() if line.startswith(("holds", "misses"))]
    assert verdicts == ["holds" if target["holds"] else "misses" for target in figures["targets"]]
    assert len(verdicts) == len(TARGETS)
    assert main(["--check"]) == int("misses" in verdicts)


@pytest.mark.slow
def test_a_report_that_cannot_be_written_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--keys", "groq", "--out", "/dev/null/everyday.json"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.slow
def test_a_report_says_which_prompts_no_lane_can_answer() -> None:
    report = judge_bundle(SHIPPED_BUNDLE, PROVIDERS, SUITE[:10])
    assert "no lane could answer" not in report_text(report)
    assert "no lane could answer tea-01" in report_text(replace(report, unanswered=("tea-01",)))
