"""What judged answers teach about lanes: by metrics that grade, and by checks that only find faults."""

import json

import numpy as np
import pytest

from router.lane_learning import ALL_LANES, JudgedAnswer, LaneLearning, LearningTerms, Signal, read_signals


def answer(
    lane: str, at_s: float, signals: tuple[Signal, ...], predicted: float = 0.8, known_signals: tuple[Signal, ...] = ()
) -> JudgedAnswer:
    return JudgedAnswer(f"p/{lane}", f"v/{lane}", predicted, at_s, signals, known_signals)


def shift(learning: LaneLearning, lane: str) -> float:
    return learning.shift_of(f"p/{lane}", f"v/{lane}")[0]


def test_metrics_without_a_rule_do_not_count() -> None:
    assert read_signals(["mood"], [1.0]) == ()
    learning = LaneLearning.begin(LearningTerms())
    assert learning.learn(answer("a", 0.0, ())) == []
    assert learning.correction.names == []


def test_a_check_without_a_finding_moves_nothing_and_makes_nothing_surer() -> None:
    learning, alone = (LaneLearning.begin(LearningTerms()) for _ in range(2))
    for place in range(400):
        thumb = read_signals(["thumbs"], [float(place % 40 == 0)]) if place % 20 == 0 else ()
        check = read_signals(["refusal"], [0.0])
        learning.learn(answer("ab"[place % 2], 60.0 * place, (*check, *thumb)))
        alone.learn(answer("ab"[place % 2], 60.0 * place, thumb))
    alone.advance(learning.correction.at_s or 0.0)
    assert shift(alone, "a") < -0.1
    for lane in "ab":
        with_checks = learning.shift_of(f"p/{lane}", f"v/{lane}")
        assert with_checks == pytest.approx(alone.shift_of(f"p/{lane}", f"v/{lane}"), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "rate"), [("schema_valid", 0.1), ("asked_again", 0.1), ("refusal", 0.03)])
def test_the_same_rate_of_faults_in_all_lanes_moves_none(metric: str, rate: float) -> None:
    rng = np.random.default_rng(0)
    learning, lanes = LaneLearning.begin(LearningTerms()), {"a": 0.15, "b": 0.5, "c": 0.97}
    for place in range(6_000):
        lane = "abc"[place % 3]
        is_fault = float(rng.random() < rate)
        value = 1 - is_fault if metric == "schema_valid" else is_fault
        learning.learn(answer(lane, 60.0 * place, read_signals([metric], [value]), predicted=lanes[lane]))
    assert [shift(learning, lane) for lane in lanes] == pytest.approx([0, 0, 0], abs=0.02)


def test_no_lane_rises_because_checks_found_less_in_its_answers() -> None:
    learning = LaneLearning.begin(LearningTerms())
    for place in range(600):
        is_valid = float(place % 2 or place % 4)
        learning.learn(answer("ab"[place % 2], 60.0 * place, read_signals(["schema_valid"], [is_valid])))
    assert shift(learning, "a") < -0.2
    assert shift(learning, "b") == 0


def test_an_excess_of_faults_costs_at_most_the_answers_in_which_they_are() -> None:
    learning = LaneLearning.begin(LearningTerms())
    for place in range(20_000):
        is_refusal = float(place % 2 == 0 and place % 20 == 0)  # 10% of the first lane's answers
        learning.learn(answer("ab"[place % 2], 10.0 * place, read_signals(["refusal"], [is_refusal])))
    chance = 1 / (1 + np.exp(-(np.log(0.8 / 0.2) + shift(learning, "a"))))
    assert 0.7 <= chance < 0.79


def test_how_well_a_check_tells_bad_answers_is_learned_where_it_meets_judgements() -> None:
    rng = np.random.default_rng(1)
    learning = LaneLearning.begin(LearningTerms())
    assert learning.faults.likelihood("refusal") == pytest.approx((0.05, 0.99))
    for place in range(1_000):
        is_good = rng.random() < 0.5
        is_refusal = float(rng.random() < (0.02 if is_good else 0.4))
        learning.learn(answer("a", 60.0 * place, read_signals(["refusal", "score"], [is_refusal, float(is_good)])))
    assert learning.faults.likelihood("refusal") == pytest.approx((0.38, 0.98), abs=0.06)


def test_answers_that_other_checks_looked_at_were_not_truncated_unless_it_is_logged() -> None:
    learning = LaneLearning.begin(LearningTerms())
    for place in range(600):
        is_cut = place % 2 == 0 and place % 4 == 0
        names, values = (["refusal", "truncated"], [0.0, 1.0]) if is_cut else (["refusal"], [0.0])
        learning.learn(answer("ab"[place % 2], 60.0 * place, read_signals(names, values)))
    assert learning.faults.drops()["p/a"].metric_name == "truncated"
    assert set(learning.faults.drops()) == {"p/a"}


def test_a_check_that_changes_its_mind_counts_once() -> None:
    learning, once = (LaneLearning.begin(LearningTerms()) for _ in range(2))
    fault, none = read_signals(["asked_again"], [1.0]), read_signals(["asked_again"], [0.0])
    for place in range(30):
        learning.learn(answer("a", 60.0 * place, fault))
        once.learn(answer("a", 60.0 * place, none))
    for place in range(30):
        learning.learn(answer("a", 60.0 * place, none, known_signals=fault))
    count, expected = (kept.faults.counts["asked_again"]["p/a"] for kept in (learning, once))
    assert (count.answers, count.faults) == pytest.approx((expected.answers, 0.0), abs=1e-9)


def test_a_comparison_counts_against_its_own_mean_without_a_bound() -> None:
    learning = LaneLearning.begin(LearningTerms())
    for place in range(400):
        won = float(place % 4 < 2)
        learning.learn(answer("ab"[place % 2], 60.0 * place, read_signals(["judge.pairwise"], [won]), predicted=0.95))
    assert abs(shift(learning, "a")) < 0.15


@pytest.mark.slow
def test_a_lane_that_fails_checks_more_often_than_others_goes_down() -> None:
    rng = np.random.default_rng(0)
    learning = LaneLearning.begin(LearningTerms())
    for place in range(800):
        lane = "ab"[place % 2]
        is_valid = float(rng.random() < (0.6 if lane == "a" else 0.98))
        learning.learn(answer(lane, 60.0 * place, read_signals(["schema_valid"], [is_valid])))
    assert shift(learning, "a") < shift(learning, "b") - 0.4


def test_a_thumb_after_a_check_adds_to_what_the_check_said() -> None:
    check, thumb = read_signals(["schema_valid", "thumbs"], [1.0, 0.0])
    learning = LaneLearning.begin(LearningTerms())
    learning.learn(answer("a", 0.0, (check,)))
    assert abs(shift(learning, "a")) < 0.02
    learning.learn(answer("a", 0.0, (check, thumb), known_signals=(check,)))
    assert shift(learning, "a") < -0.02
    assert learning.tests["p/a"].n_answers == 1


@pytest.mark.slow
def test_the_alarm_of_a_lane_rings_and_those_of_others_do_not() -> None:
    rng = np.random.default_rng(3)
    learning = LaneLearning.begin(LearningTerms())
    rung: list[str] = []
    for place in range(1_200):
        lane = "abcd"[int(rng.integers(4))]
        chance = 0.8 - (0.4 if lane == "a" and place > 400 else 0.0)
        rung += learning.learn(answer(lane, 300.0 * place, read_signals(["score"], [float(rng.random() < chance)])))
    assert set(rung) - {ALL_LANES} == {"p/a"}


def test_what_is_kept_reads_back_the_same() -> None:
    terms = LearningTerms()
    learning = LaneLearning.begin(terms)
    learning.learn(answer("a", 5.0, read_signals(["thumbs", "schema_valid"], [0.0, 1.0])))
    again = LaneLearning.from_json(json.loads(json.dumps(learning.to_json())), terms)
    later = answer("b", 9.0, read_signals(["thumbs"], [1.0]))
    assert again.learn(later) == learning.learn(later)
    assert json.loads(json.dumps(again.to_json())) == json.loads(json.dumps(learning.to_json()))


@pytest.mark.slow
def test_thumbs_of_which_some_are_wrong_do_not_draw_lanes_together() -> None:
    rng = np.random.default_rng(2)
    learning, lanes = LaneLearning.begin(LearningTerms()), {"a": 0.9, "b": 0.1}
    rung: list[str] = []
    for place in range(3_000):
        lane = "ab"[place % 2]
        is_up = (rng.random() < lanes[lane]) != (rng.random() < 0.11)
        rung += learning.learn(
            answer(lane, 60.0 * place, read_signals(["thumbs"], [float(is_up)]), predicted=lanes[lane])
        )
    assert [shift(learning, lane) for lane in lanes] == pytest.approx([0, 0], abs=0.35)
    assert rung == []
