"""The reward model: better than the logged beliefs, reproducible, cross-fitted by conversation, also on a cluster."""

import numpy as np
import pytest

from training.off_policy.intervals.conversations import Conversations
from training.off_policy.reward_model import BeliefLearner, JudgedPairs, LanePairs, cross_fit_rewards, folds_of
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario
from training.off_policy.trees import TreeLearner, TreeSettings, train_reward_model

TRAFFIC = make_traffic(Scenario(n_requests=6_000, exploration=0.6, belief_noise=1.5, belief_bias=-1.0), 0)
LOGS = TRAFFIC.logs
ROWS = np.arange(len(LOGS))
FOLD = folds_of(Conversations.of(LOGS.clusters()), 5, 0)
ALL = np.ones(LOGS.quality.shape, np.bool_)


def error_of(expected: np.ndarray) -> float:
    return float(((expected - TRAFFIC.chance) ** 2).mean())


def test_recalibrating_by_lane_is_better_than_the_logged_beliefs() -> None:
    assert error_of(cross_fit_rewards(LOGS, ALL, BeliefLearner(), FOLD)) < 0.8 * error_of(LOGS.quality)


@pytest.mark.slow
def test_trees_are_better_still_and_the_same_every_time() -> None:
    by_beliefs = cross_fit_rewards(LOGS, ALL, BeliefLearner(), FOLD)
    by_trees = cross_fit_rewards(LOGS, ALL, TreeLearner(), FOLD)
    assert error_of(by_trees) < error_of(by_beliefs)
    np.testing.assert_array_equal(by_trees, cross_fit_rewards(LOGS, ALL, TreeLearner(), FOLD))


def test_with_few_judged_requests_trees_are_left_out() -> None:
    few = JudgedPairs.of(LOGS, ROWS[:50])
    pairs = LanePairs.of(LOGS, ROWS, LOGS.chosen)
    np.testing.assert_array_equal(TreeLearner().fit(few).predict(pairs), BeliefLearner().fit(few).predict(pairs))


def test_without_a_judged_request_the_logged_belief_is_expected() -> None:
    none = JudgedPairs.of(LOGS, ROWS[:0])
    pairs = LanePairs.of(LOGS, ROWS, LOGS.chosen)
    np.testing.assert_allclose(BeliefLearner().fit(none).predict(pairs), LOGS.quality[ROWS, LOGS.chosen], atol=0.006)


def test_a_conversation_lies_in_one_fold() -> None:
    clusters = np.repeat(np.arange(300), 4)
    fold = folds_of(Conversations.of(clusters), 5, 1)
    assert all(len(np.unique(fold[clusters == cluster])) == 1 for cluster in range(300))
    assert np.bincount(fold).min() == np.bincount(fold).max()


def test_pairs_that_are_not_needed_are_not_computed() -> None:
    is_needed = np.zeros_like(ALL)
    is_needed[:10, 2] = True
    expected = cross_fit_rewards(LOGS, is_needed, BeliefLearner(), FOLD)
    assert (expected[:10, 2] > 0).all()
    assert np.count_nonzero(expected) == 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dask warns about ports and parameters
def test_workers_of_a_cluster_fit_trees_as_good() -> None:
    distributed = pytest.importorskip("distributed")
    judged, settings = JudgedPairs.of(LOGS, ROWS), TreeSettings(n_rounds=30)
    pairs = LanePairs.of(LOGS, ROWS, np.full(len(ROWS), 2))
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = train_reward_model(judged, client, settings).predict(pairs)
    here = train_reward_model(judged, settings=settings).predict(pairs)
    truth = TRAFFIC.chance[:, 2]
    assert np.abs(there - here).mean() < 0.03
    assert ((there - truth) ** 2).mean() < 1.1 * ((here - truth) ** 2).mean()
