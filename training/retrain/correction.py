"""What rewards say of a champion's logits: a small Bayesian correction per model, and a place for models that it does not know.

For a model that the champion knows, with u the champion's logit and z the prompt's components (a few principal components of all logits):

    new logit = u + offset + slope * (u - centre) + c . z,      (offset, slope, c) ~ N(what all models together show, prior)

For one that it does not know there is no u; offset and c come from where the known models lie, as in `router.placement`. Logistic
likelihood, most probable values by Newton's method, uncertainty by Laplace's approximation (MacKay 1992). All of it is linear in the champion's
logits, so that it folds into the last layer of the graph and costs nothing when it is served.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Hearsay = tuple[float, float]
"""Ability and its deviation, as a model's price, family or vendor's line-up have it."""

N_COMPONENTS = 4
_NEWTON_STEPS = 30
_NEW_RIDGE = 0.02
_FILL_RIDGE = 0.05
"""Keeps a few known logits from speaking too surely for all others."""
_OFFSET_STDS = (0.02, 0.06, 0.15, 0.3, 0.6, 1.2)
_SHAPE_STDS = (0.01, 0.04, 0.1, 0.2, 0.4)
"""Of what corrections of the intercept, and of slope and components, are believed to scatter by; the likeliest pair is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """`k` rewards, each with the champion's logits for its request.

    Args:
        logits: Shape (k, m), of all `m` models of the space; see `LogitSpace.filled` for those unknown.
        model: Shape (k,), the column of the model that answered: 0..m - 1 known, m.. unknown to the champion.
        reward: Shape (k,), 0..1.
        weight: Shape (k,), how much each counts, about 1 for an exact reward.
    """

    logits: Floats
    model: Ints
    reward: Floats
    weight: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LogitSpace:
    """Where the logits of `m` models lie, by the champion's reference answers.

    Args:
        centre: Shape (m,).
        directions: Shape (m, k); components = (logits - centre) @ directions, each of variance 1.
        loadings: Shape (m, k + 1), each model's own centre and its loadings on the components.
        covariance: Shape (m, m), of the logits.
    """

    centre: Floats
    directions: Floats
    loadings: Floats
    covariance: Floats

    @classmethod
    def of(cls, logits: Floats, among: Mask | None = None) -> "LogitSpace":
        """Return the space of reference logits (n, m).

        Args:
            logits: Shape (n, m).
            among: Shape (m,), models that the components are made of; None: all. Where logs know the logits of some models alone, components of all
                would mean one thing while learning and another while serving.
        """
        centre = logits.mean(axis=0)
        centred = logits - centre
        covariance = centred.T @ centred / len(centred)
        chosen = np.arange(len(centre)) if among is None else np.flatnonzero(among)
        variances, axes = np.linalg.eigh(covariance[np.ix_(chosen, chosen)])  # ascending
        k = min(N_COMPONENTS, len(chosen))
        scales = np.sqrt(np.maximum(variances[::-1][:k], 1e-9))
        directions = np.zeros((len(centre), k))
        directions[chosen] = axes[:, ::-1][:, :k] / scales
        loadings = covariance @ directions  # of each model on the components
        return cls(centre, directions, np.concatenate([centre[:, None], loadings], axis=1), covariance)

    def components(self, logits: Floats) -> Floats:
        """Return the components (n, k) of logits (n, m), none of them unknown."""
        return np.asarray((logits - self.centre) @ self.directions, np.float64)

    def filled(self, logits: Floats) -> Floats:
        """Return logits (n, m) with what the known ones say of the unknown: their conditional mean, were they Gaussian.

        A log without text has the beliefs about its lanes' models alone, and serving has those about all models: filled with mere centres,
        the components would mean one thing here and another there.
        """
        unknown = np.isnan(logits)
        whole = np.where(unknown, self.centre, logits)
        for pattern in np.unique(unknown[unknown.any(axis=1)], axis=0):
            rows, known = np.flatnonzero((unknown == pattern).all(axis=1)), np.flatnonzero(~pattern)
            if not len(known):
                continue
            among = self.covariance[np.ix_(known, known)] + _FILL_RIDGE * np.eye(len(known))
            slopes = np.linalg.solve(among, self.covariance[np.ix_(known, np.flatnonzero(pattern))])  # (known, unknown)
            whole[np.ix_(rows, np.flatnonzero(pattern))] += (logits[np.ix_(rows, known)] - self.centre[known]) @ slopes
        return whole


@dataclass(frozen=True, slots=True, eq=False)
class LogitMap:
    """new logits = logits @ matrix.T + offset, from `m` known models to those and the new ones.

    Args:
        matrix: Shape (m + new, m).
        offset: Shape (m + new,).
        information: Shape (m + new,), what the rewards tell of each model's intercept, in graded answers times p (1 - p).
        n_rewards: Shape (m + new,).
    """

    matrix: Floats
    offset: Floats
    information: Floats
    n_rewards: Ints

    def apply(self, logits: Floats) -> Floats:
        """Return the new logits; the last axis is that of the models."""
        return np.asarray(logits @ self.matrix.T + self.offset, np.float64)

    def then(self, other: "LogitMap") -> "LogitMap":
        """Return this map and then the other as one."""
        matrix, offset = other.matrix @ self.matrix, other.matrix @ self.offset + other.offset
        return LogitMap(matrix, offset, self.information + other.information, self.n_rewards + other.n_rewards)

    def only_new(self, n_known: int) -> "LogitMap":
        """Return the map that leaves the known models as they are."""
        matrix, offset, information = self.matrix.copy(), self.offset.copy(), self.information.copy()
        matrix[:n_known] = np.eye(n_known)
        offset[:n_known] = 0
        information[:n_known] = 0
        return LogitMap(matrix, offset, information, self.n_rewards)


def fit_logit_map(judged: Judged, space: LogitSpace, hearsay: Sequence[Hearsay | None] = ()) -> LogitMap:
    """Fit the correction of every model that was rewarded; others only share what all models show together.

    How far corrections scatter is itself learned: of a few pairs of prior deviations, the one with the greatest marginal likelihood
    (empirical Bayes). Where rewards only confirm the champion, that is next to nothing, and so is the correction.

    Args:
        judged: The rewards.
        space: Of the champion's models.
        hearsay: Of each model that the champion does not know, what was believed before it answered; None: that it is like the known ones.
    """
    n_known, n_new = len(space.centre), len(hearsay)
    designs = [_Design.of(judged, space, column) for column in range(n_known + n_new)]
    spreads = [(offset, shape) for offset in _OFFSET_STDS for shape in _SHAPE_STDS]
    fits = [_fit_known(designs[:n_known], space, spread) for spread in spreads]
    best = max(fits, key=lambda fit: fit[0])[1]
    matrix = np.concatenate([np.eye(n_known), np.zeros((n_new, n_known))])
    offset, information = np.zeros(n_known + n_new), np.zeros(n_known + n_new)
    for column, design in enumerate(designs):
        if column < n_known:
            found, told = best[column].coefficients, best[column].told
            matrix[column, column] += found[1]
            offset[column] -= found[1] * space.centre[column]
        else:
            mean, precision = _prior_of_new(space, hearsay[column - n_known])
            fit = fit_logistic(design.without_own(), design.known, design.reward, design.weight, mean, precision)
            found, told = np.insert(fit.coefficients, 1, 0.0), fit.told
        weights = space.directions @ found[2:]
        matrix[column] += weights
        offset[column] += found[0] - weights @ space.centre
        information[column] = told
    return LogitMap(matrix, offset, information, np.bincount(judged.model, minlength=n_known + n_new).astype(np.intp))


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """The rewards of one model; columns of `values`: intercept, its own logit from its centre, components."""

    values: Floats
    known: Floats
    reward: Floats
    weight: Floats

    @classmethod
    def of(cls, judged: Judged, space: LogitSpace, column: int) -> "_Design":
        rows = np.flatnonzero(judged.model == column)
        logits = judged.logits[rows]
        is_known = column < len(space.centre)
        own = logits[:, column] if is_known else np.zeros(len(rows))
        rest = own - space.centre[column] if is_known else own
        values = np.concatenate([np.ones((len(rows), 1)), rest[:, None], space.components(logits)], axis=1)
        return cls(values, own, judged.reward[rows], judged.weight[rows])

    def without_own(self) -> Floats:
        return np.delete(self.values, 1, axis=1)


def _fit_known(
    designs: list[_Design], space: LogitSpace, spread: tuple[float, float]
) -> "tuple[float, list[LogisticFit]]":
    """Return the log marginal likelihood of this spread, and each model's fit around what all show together."""
    precision = np.diag([spread[0] ** -2, *[spread[1] ** -2] * (space.directions.shape[1] + 1)])
    together = _Design(
        *(
            np.concatenate([getattr(design, name) for design in designs])
            for name in ("values", "known", "reward", "weight")
        )
    )
    shared = fit_logistic(
        together.values, together.known, together.reward, together.weight, np.zeros(len(precision)), precision
    ).coefficients
    fits = [fit_logistic(one.values, one.known, one.reward, one.weight, shared, precision) for one in designs]
    belief = np.sum(np.diag(precision) * shared**2) / 2
    return sum(fit.evidence for fit in fits) - float(belief), fits


def _prior_of_new(space: LogitSpace, hearsay: Hearsay | None) -> tuple[Floats, Floats]:
    """Return mean and precision of (offset, c) of a model that the champion does not know: where the known ones lie, moved as its ability says."""
    mean = space.loadings.mean(axis=0)
    centred = space.loadings - mean
    covariance = centred.T @ centred / max(len(centred) - 1, 1) + _NEW_RIDGE * np.eye(centred.shape[1])
    if hearsay is not None:
        ability, std = hearsay
        gain = covariance[:, 0] / covariance[0, 0]
        mean = mean + gain * (ability - mean[0])
        covariance = covariance + np.outer(gain, gain) * (std**2 - covariance[0, 0])
    return mean, np.asarray(np.linalg.inv(covariance), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """A fitted logistic regression.

    Args:
        coefficients: The most probable ones.
        told: Information about the intercept in the rewards: the sum of weight * p (1 - p).
        evidence: Log marginal likelihood by Laplace's approximation.
    """

    coefficients: Floats
    told: float
    evidence: float


def fit_logistic(
    design: Floats, known: Floats, reward: Floats, weight: Floats, mean: Floats, precision: Floats
) -> LogisticFit:
    """Fit reward ~ sigmoid(known + design @ coefficients) with coefficients ~ N(mean, precision^-1).

    Args:
        design: Shape (k, p), its first column the intercept's.
        known: Shape (k,), logits that are taken as they are.
        reward, weight: Shape (k,).
        mean, precision: Of the prior, shapes (p,) and (p, p).
    """
    found, hessian = mean.copy(), precision
    told = 0.0
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-(known + design @ found).clip(-40, 40)))
        curvature = weight * chance * (1 - chance)
        hessian = (design * curvature[:, None]).T @ design + precision
        gradient = design.T @ (weight * (reward - chance)) - precision @ (found - mean)
        step = np.linalg.solve(hessian, gradient)
        found = found + np.clip(step, -1, 1)
        told = float(curvature.sum())
        if np.abs(step).max() < 1e-8:
            break
    logits = known + design @ found
    likelihood = float((weight * (reward * logits - np.logaddexp(0, logits))).sum())
    away = found - mean
    volume = np.linalg.slogdet(precision)[1] - np.linalg.slogdet(hessian)[1]
    return LogisticFit(found, told, likelihood - float(away @ precision @ away) / 2 + float(volume) / 2)
