"""One reward from all signals: in range, by precision, and unknown without signals."""

from random import Random

import numpy as np
import pytest
from checkout import ROOT
from hypothesis import given
from hypothesis import strategies as st

from router.arrays import Floats
from router.errors import RewardError
from router.reward import REWARD_RULES, RewardRule, combine_rewards, keep_last, read_reward_rules

WEAK = ("refusal", "truncated", "asked_again", "edited_share")

signals = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from([*REWARD_RULES, "csat", ""]),
        st.floats(allow_nan=True, allow_infinity=True),
    ),
    max_size=30,
)


def combined(*given: tuple[str, float]) -> tuple[float, float]:
    """Return the reward and deviation of one request."""
    names, values = [name for name, _ in given], np.array([value for _, value in given], dtype=float)
    reward, std = combine_rewards(np.zeros(len(given), np.intp), names, values, 1)
    return float(reward[0]), float(std[0])


def columns(given: list[tuple[int, str, float]]) -> tuple[np.ndarray, list[str], np.ndarray]:  # type: ignore[type-arg]
    index, names, values = zip(*given, strict=True) if given else ((), (), ())
    return np.array(index, np.intp), list(names), np.array(values, float)


@given(signals)
def test_reward_lies_between_0_and_1_and_is_unknown_with_its_deviation(given: list[tuple[int, str, float]]) -> None:
    reward, std = combine_rewards(*columns(given), 6)
    assert reward.shape == std.shape == (6,)
    assert (np.isnan(reward) == np.isnan(std)).all()
    has_reward = ~np.isnan(reward)
    assert ((reward[has_reward] >= 0) & (reward[has_reward] <= 1) & (std[has_reward] > 0)).all()
    counted = {index for index, name, value in given if name in REWARD_RULES and np.isfinite(value)}
    assert set(np.flatnonzero(has_reward)) == counted


@given(signals, st.randoms(use_true_random=False))
def test_order_of_the_signals_does_not_matter(given: list[tuple[int, str, float]], random: Random) -> None:
    shuffled = random.sample(given, len(given))
    for one, other in zip(combine_rewards(*columns(given), 5), combine_rewards(*columns(shuffled), 5), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@given(st.lists(st.sampled_from(sorted(REWARD_RULES)), min_size=1, max_size=8))
def test_precisions_of_independent_signals_add(names: list[str]) -> None:
    _, std = combined(*[(name, 1.0) for name in names])
    assert std**-2 == pytest.approx(sum(REWARD_RULES[name].std ** -2 for name in names))


@given(st.sampled_from(sorted(REWARD_RULES)), st.floats(0, 1), st.floats(0, 1))
def test_a_better_value_is_never_a_worse_reward(name: str, one: float, other: float) -> None:
    rule = REWARD_RULES[name]
    low, high = sorted((one, other))
    at_low, at_high = (rule.worst_value + share * (rule.best_value - rule.worst_value) for share in (low, high))
    assert combined((name, at_low))[0] <= combined((name, at_high))[0] + 1e-12


def test_silence_is_unknown_and_not_zero() -> None:
    reward, std = combine_rewards(np.empty(0, np.intp), [], np.empty(0), 2)
    assert np.isnan(reward).all()
    assert np.isnan(std).all()


def test_metrics_without_a_rule_do_not_count() -> None:
    assert np.isnan(combined(("csat", 5))[0])
    assert combined(("csat", 5), ("thumbs", 1))[0] == 1.0


def test_thumb_down_is_worth_as_much_as_thumb_up() -> None:
    assert combined(("thumbs", 0)) == (0.0, pytest.approx(0.3))
    assert combined(("thumbs", 1)) == (1.0, pytest.approx(0.3))
    assert combined(("thumbs", 1), ("thumbs", 0))[0] == pytest.approx(0.5)


@pytest.mark.parametrize("failure", ["schema_valid", "tool_arguments_valid"])
def test_an_answer_that_cannot_be_read_is_bad_where_no_thumb_was_given(failure: str) -> None:
    passed = [(name, REWARD_RULES[name].best_value) for name in WEAK]
    assert combined((failure, 0))[0] == 0
    assert combined((failure, 0), *passed)[0] < 0.4
    assert combined((failure, 1), *passed)[0] == pytest.approx(0.65)


def test_one_thumb_overrides_all_weak_checks_together() -> None:
    worst = [(name, REWARD_RULES[name].worst_value) for name in WEAK]
    best = [(name, REWARD_RULES[name].best_value) for name in WEAK]
    assert combined(("thumbs", 1), *worst)[0] > 0.5
    assert combined(("thumbs", 0), *best)[0] < 0.5


def test_a_judge_that_changes_its_mind_with_the_order_hardly_counts() -> None:
    assert combined(("judge.pairwise_split", 0.5)) == (pytest.approx(0.5), pytest.approx(0.8))
    assert combined(("judge.pairwise", 0.5))[1] < 0.5


def test_combined_rewards_are_unbiased_where_the_rules_hold() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    quality = rng.uniform(0.35, 0.65, n)
    rules = {"a": RewardRule(0, 1, 0, 1, 0.1, ""), "b": RewardRule(10, 0, 0, 1, 0.05, "")}
    values = np.concatenate([quality + rng.normal(0, 0.1, n), 10 * (1 - quality - rng.normal(0, 0.05, n))])
    reward, std = combine_rewards(np.tile(np.arange(n), 2), ["a"] * n + ["b"] * n, values, n, rules)
    errors = (reward - quality) / std
    assert abs(errors.mean()) < 0.03
    assert errors.std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    "signals",
    [
        (np.array([0]), ["thumbs", "score"], np.array([1.0])),
        (np.array([2]), ["thumbs"], np.array([1.0])),
        (np.array([-1]), ["thumbs"], np.array([1.0])),
    ],
)
def test_signals_that_do_not_fit_are_refused(signals: tuple[Floats, list[str], Floats]) -> None:
    with pytest.raises(RewardError):
        combine_rewards(*signals, 2)


def test_last_word_of_a_giver_stands_whatever_the_order_of_the_rows() -> None:
    at = np.array(["2026-11-02", "2026-11-01", "2026-11-03", "2026-11-01", "2026-11-01"], "datetime64[us]")
    kept = keep_last(
        np.array([0, 0, 0, 0, 1]),
        ["thumbs", "thumbs", "score", "thumbs", "thumbs"],
        ["ann", "ann", "ann", "bob", "ann"],
        at,
    )
    assert kept.tolist() == [0, 2, 3, 4]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 9)), max_size=30)
)
def test_exactly_the_last_of_each_giver_request_and_metric_is_kept(rows: list[tuple[int, str, str, int]]) -> None:
    last = {}
    for place, (request, metric, giver, at) in enumerate(rows):
        former = last.get((request, metric, giver))
        if former is None or rows[former][3] <= at:
            last[request, metric, giver] = place
    index, metrics, givers, instants = zip(*rows, strict=True) if rows else ((), (), (), ())
    kept = keep_last(np.array(index, np.intp), metrics, givers, np.array(instants, "datetime64[us]"))
    assert kept.tolist() == sorted(last.values())


def test_a_rule_of_ones_own_is_read_and_used() -> None:
    rules = read_reward_rules(["csat:1:10:0.25", "errors:5:0:0.4"])
    reward, std = combine_rewards(np.array([0, 1]), ["csat", "errors"], np.array([5.5, 0]), 2, rules)
    assert reward.tolist() == pytest.approx([0.5, 1.0])
    assert std.tolist() == pytest.approx([0.25, 0.4])


@pytest.mark.parametrize(
    "text", ["csat", "csat:1:10", "csat:one:ten:0.3", "csat:1:1:0.3", "csat:0:1:0", "csat:0:nan:1", ":0:1:1"]
)
def test_rules_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(RewardError):
        read_reward_rules([text])


def test_every_rule_is_in_the_feedback_page_with_its_numbers() -> None:
    page = (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")
    for name, rule in REWARD_RULES.items():
        values = f"{rule.worst_value:g} | {rule.best_value:g}"
        qualities = f"{rule.worst_quality:g} to {rule.best_quality:g}"
        assert f"| `{name}` | {values} | {qualities} | {rule.std:g} |" in page


def test_a_signal_about_several_answers_counts_once() -> None:
    index, names, values = np.array([0, 1]), ["thumbs", "thumbs"], np.array([1.0, 1.0])
    reward, std = combine_rewards(index, names, values, 2, n_answers=np.array([1.0, 4.0]))
    assert reward.tolist() == [1, 1]
    weights = 0.25 / (0.25 + std**2)
    assert weights[1] == pytest.approx(weights[0] / 4)


def test_the_mean_of_corrected_thumbs_is_the_quality_and_judges_of_other_kinds_stay() -> None:
    n, rng = 40_000, np.random.default_rng(0)
    is_up = (rng.random(n) < 0.9) != (rng.random(n) < 0.11)
    reward, std = combine_rewards(np.arange(n), ["thumbs"] * n, is_up.astype(float), n, corrects_errors=True)
    assert reward.mean() == pytest.approx(0.9, abs=0.01)
    assert reward.max() > 1
    assert std[0] == pytest.approx(0.3 / 0.78)
    scores = combine_rewards(np.array([0]), ["score"], np.array([0.9]), 1, corrects_errors=True)
    assert (scores[0][0], scores[1][0]) == pytest.approx((0.9, 0.2))
