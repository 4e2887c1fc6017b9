"""A Bayesian logistic regression with an offset: how far one account's answers differ from what was believed, with partial pooling over lanes.

    logit P(good) = believed + (shared + own of the lane) . (1, components)

`shared` and `own` are Gaussian around nothing. Their four variances (offsets and slopes, of both) are chosen where the Laplace approximation of
the evidence, summed over accounts, is largest, under a broad log-normal belief about them (MacKay 1992, "Bayesian interpolation"; empirical Bayes).
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_NEWTON_STEPS = 30
_FARTHEST_STEP = 2.0
_GRID = (0.25, 0.5, 1.0, 2.0, 4.0)
_ROUNDS = 2
_LOG_STD = 0.7
"""Of what is believed of each standard deviation: one half to twice what `SPREADS` says."""


@dataclass(frozen=True, slots=True)
class Spreads:
    """Standard deviations of the coefficients, in log odds (per standard deviation of a component, for slopes)."""

    shared_offset: float = 0.7
    shared_slope: float = 0.3
    own_offset: float = 0.7
    own_slope: float = 0.25


SPREADS = Spreads()


@dataclass(frozen=True, slots=True, eq=False)
class AccountAnswers:
    """An account's `n` judged answers.

    Args:
        design: Shape (n, k + 1), (1, components) of the prompts.
        lane: Shape (n,), 0..n_lanes-1; lanes of one trained model count as one.
        n_lanes: How many there are.
        believed: Shape (n,), log odds of a good answer of the lane that answered, without the account's correction.
        reward, reward_std: Shape (n,), 0..1, and its deviation.
    """

    design: Floats
    lane: Ints
    n_lanes: int
    believed: Floats
    reward: Floats
    reward_std: Floats


@dataclass(frozen=True, slots=True, eq=False)
class AccountFit:
    """What was found.

    Args:
        shared: Shape (k + 1,).
        own: Shape (n_lanes, k + 1), beyond what is shared.
        log_evidence: Of the answers under the spreads, by Laplace's approximation.
    """

    shared: Floats
    own: Floats
    log_evidence: float


def fit_account(answers: AccountAnswers, spreads: Spreads = SPREADS) -> AccountFit:
    """Return the most probable coefficients."""
    width = answers.design.shape[1]
    design = np.concatenate([answers.design, _per_lane(answers)], axis=1)  # (n, (1 + n_lanes) (k + 1))
    precision = _precisions(spreads, width, answers.n_lanes)
    certainty = _certainty(answers)
    found = np.zeros(design.shape[1])
    information = np.diag(precision)
    for _ in range(_NEWTON_STEPS):
        chance = _sigmoid(answers.believed + design @ found)
        gradient = design.T @ (certainty * (answers.reward - chance)) - precision * found
        information = (design * (certainty * chance * (1 - chance))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(information, gradient)
        found = found + np.clip(step, -_FARTHEST_STEP, _FARTHEST_STEP)
        if np.abs(step).max(initial=0.0) < 1e-7:
            break
    chance = _sigmoid(answers.believed + design @ found).clip(1e-9, 1 - 1e-9)
    likelihood = certainty @ (answers.reward * np.log(chance) + (1 - answers.reward) * np.log(1 - chance))
    log_prior = 0.5 * (np.log(precision).sum() - precision @ found**2)
    evidence = float(likelihood + log_prior - 0.5 * np.linalg.slogdet(information)[1])
    return AccountFit(found[:width], found[width:].reshape(answers.n_lanes, width), evidence)


def choose_spreads(accounts: Sequence[AccountAnswers], start: Spreads = SPREADS) -> Spreads:
    """Return the spreads under which the accounts' answers are most probable together, each within four times of `start`."""
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
    return sum(fit_account(answers, spreads).log_evidence for answers in accounts) - 0.5 * float((away**2).sum()) / _LOG_STD**2


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
    """Return what share of an outcome's information a noisy measurement of it carries, shape (n,)."""
    chance = _sigmoid(answers.believed).clip(0.05, 0.95)
    variance = chance * (1 - chance)
    return np.asarray(variance / (variance + answers.reward_std**2), np.float64)


def _sigmoid(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds.clip(-40, 40))), np.float64)
