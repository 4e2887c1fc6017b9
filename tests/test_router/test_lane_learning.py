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
    return learning.correction.shift_of(f"p/{lane}", f"v/{lane}")[0]


def test_metrics_without_a_rule_do_not_count() -> None:
    assert read_signals(["mood"], [1.0]) == ()
    learning = LaneLearning.begin(LearningTerms())
    assert learning.learn(answer("a", 0.0, ())) == []
    assert learning.correction.names == []


@pytest.mark.slow
def test_checks_that_only_find_faults_do_not_pull_all_lanes_to_their_level() -> None:
    rng = np.random.default_rng(0)
    learning = LaneLearning.begin(LearningTerms())
    for place in range(1_500):
        is_valid = float(rng.random() < 0.95)
        learning.learn(answer("ab"[place % 2], 60.0 * place, read_signals(["schema_valid"], [is_valid]), predicted=0.9))
    assert abs(shift(learning, "a")) < 0.3
    assert abs(shift(learning, "b")) < 0.3


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
