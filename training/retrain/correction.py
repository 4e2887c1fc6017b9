"""Corrects a champion's logits by rewards: a small Bayesian correction per model, and logits for new models.

For a model of the champion, with u its logit and z the prompt's components (a few principal components of all logits):

    new logit = u + offset + slope * (u - centre) + c . z

(offset, slope, c) has a normal prior around the values that all models share. A new model has no u. The prior of its
offset and c comes from the champion's models, as in `router.placement`. The likelihood is logistic. The most probable
values are found by Newton's method, and their uncertainty by Laplace's approximation (MacKay 1992).

All of it is linear in the champion's logits. So it is folded into the last layer of the graph, and serving costs
nothing more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
NotedAbility = tuple[float, float]
"""Ability and its standard deviation, as a model's price, family or its vendor's other models suggest."""

N_COMPONENTS = 4
_NEWTON_STEPS = 30
_NEW_RIDGE = 0.02
_FILL_RIDGE = 0.05
"""Ridge that limits how strongly a few known logits determine the unknown ones."""
_OFFSET_STDS = (0.02, 0.06, 0.15, 0.3, 0.6, 1.2)
_SHAPE_STDS = (0.01, 0.04, 0.1, 0.2, 0.4)
"""Candidate prior standard deviations of the offset, and of slope and components; the most likely pair is used."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """`k` rewards, each with the champion's logits for its request.

    Args:
        logits: Shape (k, m), logits of all `m` models of the space; `LogitSpace.filled` fills in unknown ones.
        model: Shape (k,), column of the model that answered: 0..m - 1 for models of the champion, m.. for new ones.
        reward: Shape (k,), 0..1.
        weight: Shape (k,), weight of each reward, about 1 for an exact one.
    """

    logits: Floats
    model: Ints
    reward: Floats
    weight: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LogitSpace:
    """Distribution and principal components of the logits of `m` models over the champion's reference answers.

    Args:
        centre: Shape (m,), mean logits.
        directions: Shape (m, k); components = (logits - centre) @ directions, each of variance 1.
        loadings: Shape (m, k + 1), centre of each model and its loadings on the components.
        covariance: Shape (m, m), covariance of the logits.
    """

    centre: Floats
    directions: Floats
    loadings: Floats
    covariance: Floats

    @classmethod
    def of(cls, logits: Floats, among: Mask | None = None) -> "LogitSpace":
        """Return the space of reference logits (n, m).

        Args:
            logits: Shape (n, m), reference logits.
            among: Shape (m,), whether a model counts for the components; None: all do. If the logs have the logits of
                some models only, components of all models would differ between learning and serving.
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
        loadings = covariance @ directions  # loadings of each model on the components
        return cls(centre, directions, np.concatenate([centre[:, None], loadings], axis=1), covariance)

    def components(self, logits: Floats) -> Floats:
        """Return the components (n, k) of logits (n, m), which have no NaN."""
        return np.asarray((logits - self.centre) @ self.directions, np.float64)

    def filled(self, logits: Floats) -> Floats:
        """Return logits (n, m) without NaN: an unknown logit becomes its Gaussian mean, given the known ones.

        A log without text has beliefs about the models of its lanes only, but serving has beliefs about all models. If
        unknown logits became plain centres, the components would differ between learning and serving.
        """
        unknown = np.isnan(logits)
        whole = np.where(unknown, self.centre, logits)
        for pattern in np.unique(unknown[unknown.any(axis=1)], axis=0):
            rows, given = np.flatnonzero((unknown == pattern).all(axis=1)), np.flatnonzero(~pattern)
            if not len(given):
                continue
            among = self.covariance[np.ix_(given, given)] + _FILL_RIDGE * np.eye(len(given))
            slopes = np.linalg.solve(among, self.covariance[np.ix_(given, np.flatnonzero(pattern))])  # (given, unknown)
            whole[np.ix_(rows, np.flatnonzero(pattern))] += (logits[np.ix_(rows, given)] - self.centre[given]) @ slopes
        return whole


@dataclass(frozen=True, slots=True, eq=False)
class LogitMap:
    """A linear map from the logits of the champion's `m` models to the logits of those and the new models.

    new logits = logits @ matrix.T + offset

    Args:
        matrix: Shape (m + new, m), matrix of the map.
        offset: Shape (m + new,), offset of the map.
        information: Shape (m + new,), information in the rewards about each model's intercept, in graded answers times
            p (1 - p).
        n_rewards: Shape (m + new,), number of rewards of each model.
    """

    matrix: Floats
    offset: Floats
    information: Floats
    n_rewards: Ints

    def apply(self, logits: Floats) -> Floats:
        """Return the new logits; the models are the last axis."""
        return np.asarray(logits @ self.matrix.T + self.offset, np.float64)

    def then(self, other: "LogitMap") -> "LogitMap":
        """Return one map that applies this map and then the other."""
        matrix, offset = other.matrix @ self.matrix, other.matrix @ self.offset + other.offset
        return LogitMap(matrix, offset, self.information + other.information, self.n_rewards + other.n_rewards)

    def only_new(self, n_known: int) -> "LogitMap":
        """Return the map without any change of the first `n_known` models, the champion's."""
        matrix, offset, information = self.matrix.copy(), self.offset.copy(), self.information.copy()
        matrix[:n_known] = np.eye(n_known)
        offset[:n_known] = 0
        information[:n_known] = 0
        return LogitMap(matrix, offset, information, self.n_rewards)


def fit_logit_map(judged: Judged, space: LogitSpace, noted_abilities: Sequence[NotedAbility | None] = ()) -> LogitMap:
    """Fit the correction of every model with rewards; other models only get the correction that all models share.

    The spread of the corrections is learned too: of a few pairs of prior standard deviations, the one with the largest
    marginal likelihood is used (empirical Bayes). If rewards only confirm the champion, the spread is close to zero,
    and so is the correction.

    Args:
        judged: Rewards.
        space: Space of the champion's models.
        noted_abilities: Ability of each new model and its standard deviation, as believed before it answered; None: the
            new model is taken to be like the champion's models.
    """
    n_known, n_new = len(space.centre), len(noted_abilities)
    designs = [_Design.of(judged, space, column) for column in range(n_known + n_new)]
    spreads = [(offset, shape) for offset in _OFFSET_STDS for shape in _SHAPE_STDS]
    fits = [_fit_known(designs[:n_known], space, spread) for spread in spreads]
    best = max(fits, key=lambda fit: fit[0])[1]
    matrix = np.concatenate([np.eye(n_known), np.zeros((n_new, n_known))])
    offset, information = np.zeros(n_known + n_new), np.zeros(n_known + n_new)
    for column, design in enumerate(designs):
        if column < n_known:
            fit = best[column]
            coefficients = fit.coefficients
            matrix[column, column] += coefficients[1]
            offset[column] -= coefficients[1] * space.centre[column]
        else:
            mean, precision = _prior_of_new(space, noted_abilities[column - n_known])
            fit = fit_logistic(design.without_own(), design.base, design.reward, design.weight, mean, precision)
            coefficients = np.insert(fit.coefficients, 1, 0.0)
        weights = space.directions @ coefficients[2:]
        matrix[column] += weights
        offset[column] += coefficients[0] - weights @ space.centre
        information[column] = fit.information
    return LogitMap(matrix, offset, information, np.bincount(judged.model, minlength=n_known + n_new).astype(np.intp))


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """The rewards of one model, as its regression reads them.

    Args:
        values: Shape (k, 2 + components); columns: intercept, the model's logit minus its centre, components.
        base: Shape (k,), the model's logit by the champion; 0 for a new model.
        reward, weight: Shape (k,), reward 0..1 and its weight.
    """

    values: Floats
    base: Floats
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
    """Return the log marginal likelihood of this spread, and each model's fit around the shared correction."""
    precision = np.diag([spread[0] ** -2, *[spread[1] ** -2] * (space.directions.shape[1] + 1)])
    together = _Design(
        *(
            np.concatenate([getattr(design, name) for design in designs])
            for name in ("values", "base", "reward", "weight")
        )
    )
    shared = fit_logistic(
        together.values, together.base, together.reward, together.weight, np.zeros(len(precision)), precision
    ).coefficients
    fits = [fit_logistic(one.values, one.base, one.reward, one.weight, shared, precision) for one in designs]
    belief = np.sum(np.diag(precision) * shared**2) / 2
    return sum(fit.evidence for fit in fits) - float(belief), fits


def _prior_of_new(space: LogitSpace, noted_ability: NotedAbility | None) -> tuple[Floats, Floats]:
    """Return the prior mean and precision of (offset, c) of a new model.

    It is the distribution over the champion's models, conditioned on the new model's ability if that is noted.
    """
    mean = space.loadings.mean(axis=0)
    centred = space.loadings - mean
    covariance = centred.T @ centred / max(len(centred) - 1, 1) + _NEW_RIDGE * np.eye(centred.shape[1])
    if noted_ability is not None:
        ability, std = noted_ability
        gain = covariance[:, 0] / covariance[0, 0]
        mean = mean + gain * (ability - mean[0])
        covariance = covariance + np.outer(gain, gain) * (std**2 - covariance[0, 0])
    return mean, np.asarray(np.linalg.inv(covariance), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFit:
    """A fitted logistic regression.

    Args:
        coefficients: Most probable coefficients.
        information: Information about the intercept in the rewards: the sum of weight * p (1 - p).
        evidence: Log marginal likelihood by Laplace's approximation.
    """

    coefficients: Floats
    information: float
    evidence: float


def fit_logistic(
    design: Floats, base: Floats, reward: Floats, weight: Floats, mean: Floats, precision: Floats
) -> LogisticFit:
    """Fit reward ~ sigmoid(base + design @ coefficients) with coefficients ~ N(mean, precision^-1).

    Args:
        design: Shape (k, p); the first column is the intercept's.
        base: Shape (k,), logits with a fixed coefficient of 1.
        reward, weight: Shape (k,), reward 0..1 and its weight.
        mean, precision: Mean and precision of the prior, shapes (p,) and (p, p).
    """
    fitted, hessian = mean.copy(), precision
    information = 0.0
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-(base + design @ fitted).clip(-40, 40)))
        curvature = weight * chance * (1 - chance)
        hessian = (design * curvature[:, None]).T @ design + precision
        gradient = design.T @ (weight * (reward - chance)) - precision @ (fitted - mean)
        step = np.linalg.solve(hessian, gradient)
        fitted = fitted + np.clip(step, -1, 1)
        information = float(curvature.sum())
        if np.abs(step).max() < 1e-8:
            break
    logits = base + design @ fitted
    likelihood = float((weight * (reward * logits - np.logaddexp(0, logits))).sum())
    away = fitted - mean
    volume = np.linalg.slogdet(precision)[1] - np.linalg.slogdet(hessian)[1]
    return LogisticFit(fitted, information, likelihood - float(away @ precision @ away) / 2 + float(volume) / 2)
