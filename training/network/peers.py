"""Mixes each model's logit with those of its peers, the models that answered the same prompts.

Peers mostly agree on which prompts are hard. A few principal components of their logits hold nearly all of the signal.
The rest is mostly noise, and a router that picks the best of many noisy numbers picks noise. So each component, and the
rest, gets a weight. The weight says how well it predicts the grades of prompts that the network was not fitted to. This
is shrinkage of principal components, as in Frank and Friedman 1993 ("A statistical view of some chemometrics regression
tools").
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]

_N_COMPONENTS = 4
_FEWEST_PEERS = 3
_FEWEST_PROMPTS = 50
_ANSWERED_SHARE = 0.5
_LARGEST_WEIGHT = 1.5
_WEIGHT_PRECISION = 50.0
"""Precision of the prior that a weight is 1; a few hundred prompts outweigh it."""
_OFFSET_PRECISION = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class PeerMap:
    """mixed logits = logits @ matrix.T + offset, for `m` models.

    Args:
        matrix: Shape (m, m); weights of all logits in each mixed one.
        offset: Shape (m,); offset of each mixed logit.
    """

    matrix: Floats
    offset: Floats

    def apply(self, logits: Floats | Float32s) -> Floats:
        """Return the mixed logits; the last axis runs over the models."""
        return np.asarray(logits @ self.matrix.T + self.offset, np.float64)


def fit_peer_map(logits: Floats, scores: Float32s, group: npt.NDArray[np.str_]) -> PeerMap:
    """Fit to logits of prompts that the network was not fitted to.

    A model that answered prompts of several groups gets the mean of their maps, weighted by its graded answers.

    Args:
        logits: Shape (n, m); logits of prompts outside the fit.
        scores: Shape (n, m), 0..1; NaN where unknown.
        group: Shape (n,); the same models answered all prompts of one group.
    """
    n_models = logits.shape[1]
    is_graded = ~np.isnan(scores)
    matrix, offset, graded = np.zeros((n_models, n_models)), np.zeros(n_models), np.zeros(n_models)
    for name in np.unique(group):
        rows = np.flatnonzero((group == name) & is_graded.any(axis=1))
        peers = np.flatnonzero(is_graded[rows].mean(axis=0) >= _ANSWERED_SHARE) if len(rows) else np.empty(0, np.intp)
        if len(peers) < _FEWEST_PEERS or len(rows) < _FEWEST_PROMPTS:
            continue
        answers = is_graded[np.ix_(rows, peers)].sum(axis=0)
        part, part_offset = _fit_group(logits[np.ix_(rows, peers)], scores[np.ix_(rows, peers)])
        matrix[np.ix_(peers, peers)] += answers[:, None] * part
        offset[peers] += answers * part_offset
        graded[peers] += answers
    is_mixed = graded > 0
    matrix[is_mixed] /= graded[is_mixed, None]
    offset[is_mixed] /= graded[is_mixed]
    matrix[~is_mixed, ~is_mixed] = 1.0
    return PeerMap(matrix, offset)


def _fit_group(logits: Floats, scores: Float32s) -> tuple[Floats, Floats]:
    """Return the (peers, peers) matrix and the offset for logits (n, peers)."""
    mean = logits.mean(axis=0)
    centred = logits - mean
    _, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    directions = directions[:, ::-1][:, : min(_N_COMPONENTS, logits.shape[1] - 1)]  # (peers, components)
    projections = [np.outer(direction, direction) for direction in directions.T]
    projections.append(np.eye(logits.shape[1]) - directions @ directions.T)
    weights, shift = _fit_weights([centred @ projection for projection in projections], mean, scores)
    matrix = np.tensordot(weights, np.stack(projections), axes=1)
    return matrix, mean + shift - matrix @ mean


def _fit_weights(parts: list[Floats], mean: Floats, scores: Float32s) -> tuple[Floats, Floats]:
    """Return the most probable weight of each part (n, peers) and shift of each peer."""
    is_graded = ~np.isnan(scores)
    wanted = np.where(is_graded, scores, 0).astype(np.float64)
    n_parts, stacked = len(parts), np.stack(parts)

    def loss(point: Floats) -> tuple[float, Floats]:
        weights, shift = point[:n_parts], point[n_parts:]
        mixed = mean + shift + np.tensordot(weights, stacked, axes=1)
        residual = (1 / (1 + np.exp(-mixed)) - wanted) * is_graded
        surprise = (np.logaddexp(0, mixed) - wanted * mixed) * is_graded
        belief = _WEIGHT_PRECISION * ((weights - 1) ** 2).sum() + _OFFSET_PRECISION * (shift**2).sum()
        slope = np.tensordot(stacked, residual, axes=2) + _WEIGHT_PRECISION * (weights - 1)
        return float(surprise.sum() + belief / 2), np.concatenate(
            [slope, residual.sum(axis=0) + _OFFSET_PRECISION * shift]
        )

    bounds = [(0.0, _LARGEST_WEIGHT)] * n_parts + [(None, None)] * len(mean)
    optimum = minimize(
        loss, np.concatenate([np.ones(n_parts), np.zeros(len(mean))]), jac=True, method="L-BFGS-B", bounds=bounds
    )
    return optimum.x[:n_parts], optimum.x[n_parts:]
