"""How far a model's logit is its own: what its peers say of a prompt, weighed against what only its own head says.

Models that answered the same prompts mostly agree on which ones are hard. A few principal components of their logits hold nearly
all that can be known; what is left over is for the most part noise, and a router that picks the best of many noisy numbers picks noise.
Each component, and the rest, gets a weight by how well it foretells the grades of prompts that the network was not fitted to:
shrinkage of principal components, in the manner of Frank and Friedman 1993 ("A statistical view of some chemometrics regression tools").
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
"""Of the belief that a weight is 1: outweighed by a few hundred prompts."""
_OFFSET_PRECISION = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class PeerMap:
    """mixed logits = logits @ matrix.T + offset, for `m` models.

    Args:
        matrix: Shape (m, m).
        offset: Shape (m,).
    """

    matrix: Floats
    offset: Floats

    def apply(self, logits: Floats | Float32s) -> Floats:
        """Return the mixed logits; the last axis is that of the models."""
        return np.asarray(logits @ self.matrix.T + self.offset, np.float64)


def fit_peer_map(logits: Floats, scores: Float32s, group: npt.NDArray[np.str_]) -> PeerMap:
    """Fit to logits of prompts that the network was not fitted to.

    A model that answered prompts of several groups gets the mean of their maps, weighed by its graded answers.

    Args:
        logits: Shape (n, m).
        scores: Shape (n, m), 0..1; NaN where unknown.
        group: Shape (n,); prompts of one group were put to the same models.
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
    known = graded > 0
    matrix[known] /= graded[known, None]
    offset[known] /= graded[known]
    matrix[~known, ~known] = 1.0
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
    """Return a weight for each part (n, peers) and a shift for each peer, of greatest posterior probability."""
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
    found = minimize(
        loss, np.concatenate([np.ones(n_parts), np.zeros(len(mean))]), jac=True, method="L-BFGS-B", bounds=bounds
    )
    return found.x[:n_parts], found.x[n_parts:]
