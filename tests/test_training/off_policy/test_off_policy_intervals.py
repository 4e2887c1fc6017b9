"""The intervals: compared with theory, and with conversations, many requests and many looks."""

import numpy as np
import pytest

from training.off_policy.estimators.port import Estimate
from training.off_policy.intervals.cluster_bootstrap import ClusterBootstrap
from training.off_policy.intervals.confidence_sequence import ConfidenceSequence
from training.off_policy.intervals.conversations import Conversations
from training.off_policy.intervals.empirical_bernstein import EmpiricalBernstein
from training.off_policy.intervals.registry import INTERVALS


def alone(n: int) -> Conversations:
    """Return conversations of one request each."""
    return Conversations.of(np.arange(n))


def normal(n: int, seed: int = 0) -> Estimate:
    return Estimate.of_terms(np.random.default_rng(seed).normal(0, 1, n), None)


def test_conversations_are_numbered_by_their_first_request() -> None:
    conversations = Conversations.of(np.array([7, 3, 7, 9]))
    assert conversations.number.tolist() == [0, 1, 0, 2]
    assert conversations.sizes.tolist() == [2, 1, 1]
    influence = conversations.influence(Estimate(0.0, np.array([1.0, -1.0, 2.0, -2.0]), None))
    assert influence.mean() == pytest.approx(0)
    assert influence.tolist() == pytest.approx([3 * 0.75, -0.75, -1.5])


def test_the_bootstrap_of_a_plain_mean_is_about_that_of_the_normal_distribution() -> None:
    estimate = normal(900)
    interval = ClusterBootstrap(alone(900)).interval(estimate)
    assert interval is not None
    assert interval.low == pytest.approx(estimate.value - 1.96 / 30, abs=0.01)
    assert interval.high == pytest.approx(estimate.value + 1.96 / 30, abs=0.01)


def test_equal_requests_of_one_conversation_count_as_one() -> None:
    values = np.repeat(np.random.default_rng(1).normal(0, 1, 200), 10)
    estimate = Estimate.of_terms(values, None)
    widths = []
    for conversations in (alone(2_000), Conversations.of(np.repeat(np.arange(200), 10))):
        interval = ClusterBootstrap(conversations).interval(estimate)
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(10), rel=0.15)


def test_many_conversations_are_pooled_without_changing_the_width() -> None:
    interval = ClusterBootstrap(alone(200_000)).interval(normal(200_000))
    assert interval is not None
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(200_000), rel=0.1)


def test_skewness_from_few_heavy_weights_does_not_move_the_bootstrap() -> None:
    rng = np.random.default_rng(2)
    terms = np.where(rng.random(300) < 0.05, 20.0, 0.0)
    estimate, mirrored = Estimate.of_terms(terms, 20.0), Estimate.of_terms(-terms, 20.0)
    interval, other = (ClusterBootstrap(alone(300)).interval(each) for each in (estimate, mirrored))
    assert interval is not None
    assert other is not None
    assert interval.high - estimate.value == pytest.approx(estimate.value - interval.low)
    assert (other.low, other.high) == pytest.approx((-interval.high, -interval.low))


@pytest.mark.slow
def test_the_bootstrap_covers_if_thirty_requests_carry_the_weight() -> None:
    rng, maker = np.random.default_rng(3), ClusterBootstrap(alone(1_000))
    held = 0
    for _ in range(500):
        terms = np.where(rng.random(1_000) < 0.03, 40.0 * rng.normal(0, 1, 1_000), 0.0)
        interval = maker.interval(Estimate.of_terms(terms, None))
        held += interval is not None and interval.low <= 0 <= interval.high
    assert 0.93 <= held / 500 <= 0.97


def test_empirical_bernstein_follows_its_formula_and_needs_a_bound() -> None:
    terms = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    maker = EmpiricalBernstein(alone(5), 0.9)
    interval = maker.interval(Estimate.of_terms(terms, 1.0))
    log_term = np.log(4 / 0.1)
    assert interval is not None
    assert interval.high - interval.estimate == pytest.approx(np.sqrt(2 * 0.3 * log_term / 5) + 7 * log_term / (3 * 4))
    assert maker.interval(Estimate.of_terms(terms, None)) is None


def test_a_look_of_the_confidence_sequence_is_the_end_of_its_path() -> None:
    estimate, maker = normal(500), ConfidenceSequence(alone(500))
    interval, path = maker.interval(estimate), maker.path(estimate)
    assert interval is not None
    assert path.shape == (500, 3)
    np.testing.assert_allclose(path[-1], [interval.estimate, interval.low, interval.high], rtol=2e-3)


def test_the_confidence_sequence_holds_at_all_looks_together() -> None:
    missed = 0
    for seed in range(200):
        path = ConfidenceSequence(alone(3_000), 0.95, 500).path(normal(3_000, seed))
        missed += bool(((path[50:, 1] > 0) | (path[50:, 2] < 0)).any())
    assert missed / 200 <= 0.05


@pytest.mark.parametrize("kind", list(INTERVALS))
def test_a_single_conversation_has_no_interval(kind: str) -> None:
    maker = INTERVALS[kind](Conversations.of(np.zeros(5, np.intp)), 0.95)
    assert maker.interval(Estimate.of_terms(np.arange(5.0), 1.0)) is None


def test_an_estimate_without_variance_has_an_interval_of_no_width() -> None:
    interval = ClusterBootstrap(alone(10)).interval(Estimate.of_terms(np.full(10, 0.5), 1.0))
    assert interval is not None
    assert (interval.low, interval.high) == (0.5, 0.5)
