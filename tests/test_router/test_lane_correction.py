"""The online shift of each lane: where it goes, how firmly, and what it forgets."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.expectation import shift_quality
from router.lane_correction import DAY_S, Judged, LaneCorrection, ShiftPrior


def judged(lane: str = "a", reward: float = 0.0, at_s: float = 0.0, predicted: float = 0.7, **others: object) -> Judged:
    plain = Judged(f"p/{lane}", f"v/{lane}", predicted, reward, 0.3, at_s)
    return replace(plain, **others)  # type: ignore[arg-type]


def learned(*answers: Judged, prior: ShiftPrior | None = None) -> LaneCorrection:
    correction = LaneCorrection(prior or ShiftPrior())
    for answer in answers:
        correction.learn(answer)
    return correction


def shift(correction: LaneCorrection, lane: str = "a") -> float:
    return correction.shift_of(f"p/{lane}", f"v/{lane}")[0]


def test_bad_answers_push_a_lane_down_and_good_ones_up() -> None:
    assert shift(learned(*[judged(reward=0.0)] * 10)) < -0.3
    assert shift(learned(*[judged(reward=1.0)] * 10)) > 0.1


def test_answers_as_good_as_predicted_leave_a_lane_where_it_is_and_make_it_surer() -> None:
    correction = learned(*[judged(reward=0.7)] * 30)
    moved, std = correction.shift_of("p/a", "v/a")
    assert abs(moved) < 1e-9
    assert std < LaneCorrection().shift_of("p/a", "v/a")[1]


@pytest.mark.slow
def test_what_all_lanes_share_is_not_held_against_any() -> None:
    rng = np.random.default_rng(0)
    lanes = [f"lane{number}" for number in range(6)]
    answers = [judged(str(rng.choice(lanes)), float(rng.random() < 0.4), 60.0 * place) for place in range(3_000)]
    correction = learned(*answers)
    assert correction.common()[0] == pytest.approx(np.log(0.4 / 0.6) - np.log(0.7 / 0.3), abs=0.35)
    assert max(abs(shift(correction, lane)) for lane in lanes) < 0.45


def test_another_provider_of_the_same_model_shares_part_of_the_shift() -> None:
    correction = learned(*[judged(reward=0.0)] * 20)
    sibling = correction.shift_of("q/a", "v/a")[0]
    assert shift(correction) < sibling < 0
    assert correction.shift_of("q/b", "v/b")[0] == 0.0


def test_half_of_a_shift_is_left_after_its_half_life_and_nothing_in_the_end() -> None:
    correction = learned(*[judged(reward=0.0)] * 10)
    before = shift(correction)
    correction.advance(correction.prior.half_life_s)
    assert shift(correction) == pytest.approx(before / 2)
    correction.advance(400 * DAY_S)
    assert correction.names == []
    assert shift(correction) == 0.0


def test_a_shift_is_bounded() -> None:
    prior = ShiftPrior(max_shift=0.5)
    assert shift(learned(*[judged(reward=0.0)] * 200, prior=prior)) == -0.5


def test_one_bad_answer_of_a_sure_lane_moves_it_no_more_than_its_prior_allows() -> None:
    assert abs(shift(learned(judged(predicted=1.0, reward=0.0)))) < 1.0


def test_a_word_taken_back_leaves_what_the_last_word_alone_would() -> None:
    taken_back = learned(judged(reward=1.0), judged(reward=0.0, formerly=(1.0, 0.3)))
    assert shift(taken_back) == pytest.approx(shift(learned(judged(reward=0.0))), abs=0.05)
    assert taken_back.shift_of("p/a", "v/a")[1] == pytest.approx(learned(judged()).shift_of("p/a", "v/a")[1], abs=0.01)


def test_a_judgement_of_an_old_answer_counts_less() -> None:
    recent = learned(judged("b", 0.7, 0.0), judged(at_s=10 * DAY_S), judged(at_s=10 * DAY_S))
    late = learned(judged("b", 0.7, 0.0), judged("b", 0.7, 10 * DAY_S), judged(at_s=0.0), judged(at_s=0.0))
    assert shift(recent) < shift(late) < 0


@pytest.mark.slow
def test_which_prompts_a_lane_is_drawn_for_does_not_bias_it() -> None:
    rng = np.random.default_rng(1)
    answers = []
    for place in range(2_000):
        chance = float(rng.uniform(0.1, 0.9))
        lane = "easy" if chance > 0.5 else "hard"  # each is drawn for its own kind of prompt, and answers as predicted
        answers.append(judged(lane, float(rng.random() < chance), 60.0 * place, chance))
    correction = learned(*answers)
    assert abs(shift(correction, "easy")) < 0.4
    assert abs(shift(correction, "hard")) < 0.4


def test_what_is_kept_reads_back_the_same() -> None:
    correction = learned(judged("a"), judged("b", 1.0, 5.0))
    stored = json.loads(json.dumps(correction.to_json()))
    again = LaneCorrection.from_json(stored, correction.prior)
    for belief in (correction, again):
        belief.learn(judged("b", 0.0, 99.0))
    assert again.to_json() == correction.to_json()
    with pytest.raises(ValueError, match="no shifts"):
        LaneCorrection.from_json(stored | {"mean": [0.0]}, correction.prior)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 2), st.floats(0, 1e7)),
        max_size=40,
    )
)
def test_the_belief_stays_a_gaussian_whatever_the_feedback(
    answers: list[tuple[str, float, float, float, float]],
) -> None:
    correction = LaneCorrection()
    for lane, predicted, reward, std, at_s in answers:
        believed = correction.learn(judged(lane, reward, at_s, predicted, reward_std=std))
        assert 0 < believed < 1
    assert np.isfinite(correction.mean).all()
    assert np.linalg.eigvalsh(correction.covariance).min(initial=1.0) > 0
    assert np.allclose(correction.covariance, correction.covariance.T)


@given(st.floats(0.01, 0.99), st.floats(-3, 3))
def test_a_shift_is_of_the_log_odds(quality: float, by: float) -> None:
    shifted, std = shift_quality(np.array([quality]), np.array([0.1]), np.array([by]))
    assert np.log(shifted / (1 - shifted)) - np.log(quality / (1 - quality)) == pytest.approx(by, abs=1e-6)
    slope = shifted * (1 - shifted) / (quality * (1 - quality))
    assert std == pytest.approx(0.1 * slope)
