"""A Bayesian logistic regression that measures how one account's answers differ from the bundle's beliefs.

It has a fixed offset (the belief) and partial pooling over lanes:

    logit P(good) = believed + (shared + own of the lane) . (1, components)

`shared` and `own` have Gaussian priors around zero. Their four variances (offsets and slopes, of both) are chosen so
that the Laplace approximation of the evidence, summed over accounts, is largest, under a broad log-normal prior
(MacKay 1992, "Bayesian interpolation"; empirical Bayes).
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import numpy.typing as npt

from router.log_odds import sigmoid

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_NEWTON_STEPS = 30
_SMALLEST_STEP = 1e-7
_GRID = (0.25, 0.5, 1.0, 2.0, 4.0)
_ROUNDS = 2
_LOG_STD = 0.7
"""Width of the log-normal prior of each standard deviation: about one half to twice the value in `SPREADS`."""


@dataclass(frozen=True, slots=True)
class Spreads:
    """Prior standard deviations of the coefficients, in log odds; slopes: per standard deviation of a component."""

    shared_offset: float = 1.0
    shared_slope: float = 0.4
    own_offset: float = 0.5
    own_slope: float = 0.2


SPREADS = Spreads()


@dataclass(frozen=True, slots=True, eq=False)
class AccountAnswers:
    """An account's `n` judged answers.

    Args:
        design: Shape (n, k + 1), (1, components) of the prompts.
        lane: Shape (n,), 0..n_lanes-1; lanes of one trained model count as one.
        n_lanes: Number of lanes.
        believed: Shape (n,), believed log odds of a good answer from the lane that answered, not yet corrected.
        reward, reward_std: Shape (n,), reward 0..1 and its standard deviation.
    """

    design: Floats
    lane: Ints
    n_lanes: int
    believed: Floats
    reward: Floats
    reward_std: Floats


@dataclass(frozen=True, slots=True, eq=False)
class AccountFit:
    """Fitted coefficients of one account.

    Args:
        shared: Shape (k + 1,), coefficients of all lanes.
        own: Shape (n_lanes, k + 1), coefficients of each lane, added to the shared ones.
        own_std: Shape (n_lanes,), uncertainty of `own`, in log odds, averaged over prompts.
        log_evidence: Log evidence of the answers under the spreads, by Laplace's approximation.
    """

    shared: Floats
    own: Floats
    own_std: Floats
    log_evidence: float


def fit_account(answers: AccountAnswers, spreads: Spreads = SPREADS) -> AccountFit:
    """Return the most probable coefficients, found by Newton's method."""
    width = answers.design.shape[1]
    design = np.concatenate([answers.design, _per_lane(answers)], axis=1)  # (n, (1 + n_lanes) (k + 1))
    precision = _precisions(spreads, width, answers.n_lanes)
    certainty = _certainty(answers)

    def log_posterior(coefficients: Floats) -> float:
        log_odds = answers.believed + design @ coefficients
        likelihood = certainty @ (answers.reward * log_odds - np.logaddexp(0, log_odds))
        return float(likelihood - 0.5 * precision @ coefficients**2)

    fitted, information = np.zeros(design.shape[1]), np.diag(precision)
    worth = log_posterior(fitted)
    for _ in range(_NEWTON_STEPS):
        chance = sigmoid(answers.believed + design @ fitted)
        gradient = design.T @ (certainty * (answers.reward - chance)) - precision * fitted
        information = (design * (certainty * chance * (1 - chance))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(information, gradient)
        while (tried := log_posterior(fitted + step)) < worth and np.abs(step).max() > _SMALLEST_STEP:
            step = step / 2  # a whole step may jump over the maximum
        fitted, worth = fitted + step, max(tried, worth)
        if np.abs(step).max(initial=0.0) <= _SMALLEST_STEP:
            break
    evidence = worth + 0.5 * float(np.log(precision).sum()) - 0.5 * float(np.linalg.slogdet(information)[1])
    # The components have variance 1 over prompts. So the variance of a lane's shift is the sum of the variances of its
    # coefficients.
    variance = np.diag(np.linalg.inv(information))[width:].reshape(answers.n_lanes, width)
    own = fitted[width:].reshape(answers.n_lanes, width)
    return AccountFit(fitted[:width], own, np.sqrt(variance.sum(axis=1)), evidence)


def choose_spreads(accounts: Sequence[AccountAnswers], start: Spreads = SPREADS) -> Spreads:
    """Return the spreads under which the answers of all accounts together are most probable.

    Each spread stays within a factor of four of `start`.
    """
    chosen = start
    best = _worth(accounts, chosen, start)
    for _ in range(_ROUNDS):
        for name in Spreads.__slots__:
            for factor in _GRID:
                tried = replace(chosen, **{name: getattr(start, name) * factor})
                worth = _worth(accounts, tried, start) if tried != chosen else best
                if worth > best:
                    best, chosen = worth, tried
    return chosen


def _worth(accounts: Sequence[AccountAnswers], spreads: Spreads, start: Spreads) -> float:
    away = np.log(np.array(astuple(spreads)) / np.array(astuple(start)))
    return (
        sum(fit_account(answers, spreads).log_evidence for answers in accounts)
        - 0.5 * float((away**2).sum()) / _LOG_STD**2
    )


def _per_lane(answers: AccountAnswers) -> Floats:
    n, width = answers.design.shape
    blocks = np.zeros((n, answers.n_lanes, width))
    blocks[np.arange(n), answers.lane] = answers.design
    return blocks.reshape(n, answers.n_lanes * width)


def _precisions(spreads: Spreads, width: int, n_lanes: int) -> Floats:
    shared = np.append(spreads.shared_offset, np.full(width - 1, spreads.shared_slope))
    own = np.append(spreads.own_offset, np.full(width - 1, spreads.own_slope))
    return np.asarray(1 / np.concatenate([shared, np.tile(own, n_lanes)]) ** 2, np.float64)


def _certainty(answers: AccountAnswers) -> Floats:
    """Return the weight of each judgement, shape (n,): the share of the true outcome's information that it carries."""
    chance = sigmoid(answers.believed).clip(0.05, 0.95)
    variance = chance * (1 - chance)
    return np.asarray(variance / (variance + answers.reward_std**2), np.float64)
