"""Predicts the rewards of lanes that were not drawn: the reward model of the direct and the doubly robust estimators.

It is cross-fitted: the prediction for a request comes from a fit without that request's conversation. The port
`RewardLearner` has two implementations. `BeliefLearner` in this module recalibrates the logged beliefs lane by lane.
`trees` also uses the features.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from router.log_odds import logit, sigmoid
from training.off_policy.intervals.conversations import Conversations
from training.off_policy.logistic import fit_logistic
from training.telemetry.logged_requests import Float32s, Floats, Ints, LoggedRequests, Mask

_PAIRS_AT_ONCE = 200_000
"""Number of pairs predicted at once. It bounds the memory: a pair of request and lane takes a few hundred bytes."""
_WITHIN_STD = 0.3
"""Standard deviation of exactly known rewards around their mean. It limits how much more an exact reward counts."""


@dataclass(frozen=True, slots=True, eq=False)
class LanePairs:
    """`k` pairs of a request and a lane, as a reward model reads them.

    Args:
        numbers: Shape (k, p), features of the request, then beliefs about the lane; NaN where unknown.
        quality_logit: Shape (k,), log odds of the logged belief; 0 if there was none.
        lane: Shape (k,), column of the lane.
        n_lanes: Number of lanes.
    """

    numbers: Float32s
    quality_logit: Floats
    lane: Ints
    n_lanes: int

    @classmethod
    def of(cls, logs: LoggedRequests, rows: Ints, lanes: Ints) -> Self:
        """Return the pairs of requests (rows) and lanes, both (k,)."""
        beliefs = (logs.quality, logs.quality_std, logs.completion_tokens, logs.expected_cost_usd)
        columns = [values[rows, lanes] for values in beliefs]
        quality = columns[0].astype(np.float64)
        numbers = np.column_stack([logs.features[rows], *columns, logs.prompt_tokens[rows]]).astype(np.float32)
        return cls(numbers, np.where(np.isnan(quality), 0.0, logit(quality)), lanes, len(logs.lane_ids))


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPairs:
    """Judged requests, from which a reward model learns.

    Args:
        pairs: Judged requests with their drawn lanes.
        reward: Shape (k,), 0..1.
        weight: Shape (k,), mean about 1; a more certain reward has a larger weight.
    """

    pairs: LanePairs
    reward: Floats
    weight: Floats

    @classmethod
    def of(cls, logs: LoggedRequests, rows: Ints) -> Self:
        """Return the judged requests among the given rows."""
        rows = rows[np.isfinite(logs.reward[rows]) & logs.is_answered[rows]]
        std = np.nan_to_num(logs.reward_std[rows])
        weight = 1 / (std**2 + _WITHIN_STD**2)
        return cls(
            LanePairs.of(logs, rows, logs.chosen[rows]),
            logs.reward[rows],
            weight / max(weight.mean(), 1e-12) if len(rows) else weight,
        )


class RewardModel(Protocol):
    """A fitted reward model."""

    def predict(self, pairs: LanePairs) -> Floats:
        """Return the expected rewards, shape (k,), 0..1."""
        ...


class RewardLearner(Protocol):
    """Fits reward models. Deterministic."""

    def fit(self, judged: JudgedPairs) -> RewardModel:
        """Return a reward model; without any judged request, it predicts the logged beliefs."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class BeliefModel:
    """P = sigmoid(offset + slope x logged log odds + the lane's shift)."""

    offset: float
    slope: float
    shift: Floats

    def predict(self, pairs: LanePairs) -> Floats:
        """Return the expected rewards, shape (k,)."""
        return sigmoid(self.offset + self.slope * pairs.quality_logit + self.shift[pairs.lane])


@dataclass(frozen=True, slots=True)
class BeliefLearner:
    """Recalibrates the logged beliefs.

    Args:
        lane_precision: Precision of the prior of a lane's shift around 0; it keeps a lane with few judged answers near
            the logged belief.
        slope_precision: Precision of the prior of the slope around 1.
    """

    lane_precision: float = 4.0
    slope_precision: float = 4.0

    def fit(self, judged: JudgedPairs) -> BeliefModel:
        """Return the recalibrated beliefs as a reward model."""
        pairs = judged.pairs
        design = np.zeros((len(judged.reward), 2 + pairs.n_lanes))
        design[:, 0], design[:, 1] = 1.0, pairs.quality_logit
        design[np.arange(len(design)), 2 + pairs.lane] = 1.0
        ridge = np.array([0.1, self.slope_precision, *[self.lane_precision] * pairs.n_lanes])
        centre = np.array([0.0, 1.0, *[0.0] * pairs.n_lanes])
        fitted = fit_logistic(design, judged.reward, judged.weight, ridge, centre)
        return BeliefModel(float(fitted[0]), float(fitted[1]), fitted[2:])


def folds_of(conversations: Conversations, n_folds: int, seed: int) -> Ints:
    """Return the fold of each request, shape (n,); a conversation lies in one fold."""
    fold = np.random.default_rng(seed).permutation(len(conversations)) % n_folds
    return fold[conversations.number]


def cross_fit_rewards(
    logs: LoggedRequests, is_needed: Mask, learner: RewardLearner, fold: Ints, most_judged: int = 200_000
) -> npt.NDArray[np.float32]:
    """Return the expected rewards of the needed pairs, shape (n, m); 0 elsewhere.

    Args:
        logs: Logged requests.
        is_needed: Shape (n, m), whether the expected reward of the lane is needed.
        learner: Learner that is fitted once for each fold.
        fold: Shape (n,), as `folds_of` returns it.
        most_judged: Largest number of judged requests of a fit, the latest ones; it bounds time and memory.
    """
    expected = np.zeros(is_needed.shape, np.float32)
    is_judged = np.isfinite(logs.reward) & logs.is_answered
    for place in np.unique(fold):
        rows = np.flatnonzero((fold != place) & is_judged)[-most_judged:]
        fitted = learner.fit(JudgedPairs.of(logs, rows))
        mine = np.flatnonzero(fold == place)
        within, lanes = np.nonzero(is_needed[mine])
        for start in range(0, len(within), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            requests = mine[within[part]]
            expected[requests, lanes[part]] = fitted.predict(LanePairs.of(logs, requests, lanes[part]))
    return expected
