"""Calibration on out-of-fold outputs.

Stated probabilities then match the grades, token counts add up, and difficulty has one scale.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.log_odds import sigmoid
from training.network.outputs import NetworkOutputs
from training.network.peers import PeerMap, fit_peer_map

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]

_NEWTON_STEPS = 25
_PRIOR_ANSWERS = 50.0
"""With about so many graded answers, a model's own slope and intercept outweigh the pooled ones."""
_SLOPE_PRECISION = 300.0
"""Precision of the prior that the slope of lengths is 1; a few thousand answers outweigh it."""
_ABILITY_PRECISION = 0.25
"""Abilities are believed to be N(0, 2^2) before any answer was graded."""
LONGEST_LOG_TOKENS = 11.5


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What calibration does to the network's outputs; `m` models.

    Args:
        peers: Map that mixes the models' logits; applied first.
        slope, intercept: Shape (m,); P(good) = sigmoid(slope * mixed logit + intercept). Each model's pair is drawn
            towards that of all models (Platt 1999, "Probabilistic outputs for support vector machines").
        intercept_variance: Shape (m,); variance of the intercept; large if few answers were graded.
        length_slope, length_offset: Shape (m,); tokens = exp(slope * log length + offset). The sum of the tokens is
            that of the answers seen.
        difficulty_slope, difficulty_offset: difficulty = slope * raw + offset; its mean over the corpus is 0.
        abilities: Shape (m,); log odds of a good answer to a prompt of difficulty 0 (Rasch 1960).
    """

    peers: PeerMap
    slope: Floats
    intercept: Floats
    intercept_variance: Floats
    length_slope: Floats
    length_offset: Floats
    difficulty_slope: float
    difficulty_offset: float
    abilities: Floats

    def quality(self, outputs: NetworkOutputs) -> Float32s:
        """Return P(good answer), shape (n, m)."""
        return sigmoid(self.slope * self.peers.apply(outputs.logits) + self.intercept).astype(np.float32)

    def quality_std(self, outputs: NetworkOutputs) -> Float32s:
        """Return the standard deviation of that belief, shape (n, m).

        It joins the members' spread and the intercept's variance by the delta method.
        """
        quality = self.quality(outputs)
        variance = self.peers.apply(outputs.member_logits).var(axis=1)
        spread = np.sqrt(self.slope**2 * variance + self.intercept_variance)
        return np.asarray(quality * (1 - quality) * spread, np.float32)

    def completion_tokens(self, outputs: NetworkOutputs) -> Float32s:
        """Return the expected answer length, shape (n, m), at least 1."""
        calibrated = self.length_slope * outputs.log_tokens + self.length_offset
        return np.asarray(np.exp(calibrated.clip(0, LONGEST_LOG_TOKENS)), np.float32)

    def difficulty(self, outputs: NetworkOutputs) -> Float32s:
        """Return the prompts' difficulty, shape (n,)."""
        return np.asarray(self.difficulty_slope * outputs.difficulty + self.difficulty_offset, np.float32)


def fit_calibration(
    outputs: NetworkOutputs,
    scores: Float32s,
    completion_tokens: Float32s,
    group: npt.NDArray[np.str_],
    difficulty_offset: float | None = None,
) -> Calibration:
    """Fit to outputs for prompts that the network was not fitted to.

    Args:
        outputs: Outputs for `n` prompts and `m` models.
        scores: Shape (n, m), 0..1; NaN where unknown.
        completion_tokens: Shape (n, m); NaN where unknown.
        group: Shape (n,); the same models answered all prompts of one group.
        difficulty_offset: Offset of an earlier bundle, to keep its scale; None: the mean difficulty becomes 0.
    """
    peers = fit_peer_map(outputs.logits.astype(np.float64), scores, group)
    slope, intercept, variance = _fit_platt(peers.apply(outputs.logits), scores)
    difficulty_slope, abilities = _fit_rasch(outputs.difficulty.astype(np.float64), scores)
    offset = -difficulty_slope * float(outputs.difficulty.mean()) if difficulty_offset is None else difficulty_offset
    return Calibration(
        peers,
        slope,
        intercept,
        variance,
        *_fit_lengths(outputs.log_tokens.astype(np.float64), completion_tokens),
        difficulty_slope,
        offset,
        abilities + offset,
    )


def _fit_platt(logits: Floats, scores: Float32s) -> tuple[Floats, Floats, Floats]:
    is_graded = ~np.isnan(scores)
    pooled = np.array([1.0, 0.0])
    pooled, _ = _fit_line(logits[is_graded], scores[is_graded].astype(np.float64), pooled, 1e-3)
    n_models = scores.shape[1]
    lines, variance = np.empty((n_models, 2)), np.empty(n_models)
    for column in range(n_models):
        rows = is_graded[:, column]
        lines[column], variance[column] = _fit_line(
            logits[rows, column], scores[rows, column].astype(np.float64), pooled, _PRIOR_ANSWERS / 4
        )
    return np.maximum(lines[:, 0], 0.05), lines[:, 1], variance


def _fit_line(logits: Floats, scores: Floats, prior: Floats, precision: float) -> tuple[Floats, float]:
    """Return the most probable (slope, intercept), by Newton's method, and the intercept's variance."""
    design = np.stack([logits, np.ones_like(logits)], axis=1)  # (n, 2)
    line = prior.copy()
    information = np.eye(2) * precision
    for _ in range(_NEWTON_STEPS):
        chance = sigmoid(design @ line)
        gradient = design.T @ (scores - chance) - precision * (line - prior)
        information = (design * (chance * (1 - chance))[:, None]).T @ design + precision * np.eye(2)
        step = np.linalg.solve(information, gradient)
        line = line + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return line, float(np.linalg.inv(information)[1, 1])


def _fit_rasch(raw_difficulty: Floats, scores: Float32s) -> tuple[float, Floats]:
    """Return the slope of difficulty and the models' abilities in logit = ability - slope * difficulty."""
    is_graded = ~np.isnan(scores)
    wanted = np.where(is_graded, scores, 0).astype(np.float64)
    abilities, slope = np.zeros(scores.shape[1]), 1.0
    for _ in range(_NEWTON_STEPS * 2):
        chance = sigmoid(abilities - slope * raw_difficulty[:, None])
        residual: Floats = (wanted - chance) * is_graded
        weight: Floats = chance * (1 - chance) * is_graded
        step = (residual.sum(axis=0) - _ABILITY_PRECISION * abilities) / (weight.sum(axis=0) + _ABILITY_PRECISION)
        abilities = abilities + np.clip(step, -1, 1)
        pull = 1e-3 * (1 - slope) - float(residual.sum(axis=1) @ raw_difficulty)
        slope += float(np.clip(pull / (weight.sum(axis=1) @ raw_difficulty**2 + 1e-3), -0.5, 0.5))
    return slope, abilities


def _fit_lengths(log_tokens: Floats, completion_tokens: Float32s) -> tuple[Floats, Floats]:
    """Return (slope, offset) of each model's line, each of shape (m,).

    The line leads from the network's log length to the logarithm of the expected tokens.

    It is a Poisson regression, because its sums equal the observed ones (Gourieroux, Monfort and Trognon 1984,
    "Pseudo maximum likelihood methods").
    """
    is_counted = ~np.isnan(completion_tokens)
    n_models = log_tokens.shape[1]
    if not is_counted.any():
        return np.ones(n_models), np.zeros(n_models)
    pooled = float(np.log((completion_tokens[is_counted].sum() + 1) / (np.exp(log_tokens[is_counted]).sum() + 1)))
    lines = np.tile([1.0, pooled], (n_models, 1))
    for column in np.flatnonzero(is_counted.any(axis=0)):
        rows = is_counted[:, column]
        lines[column] = fit_length_line(
            log_tokens[rows, column], completion_tokens[rows, column].astype(np.float64), pooled
        )
    return lines[:, 0], lines[:, 1]


def fit_length_line(log_tokens: Floats, tokens: Floats, pooled: float) -> tuple[float, float]:
    """Return (slope, offset), drawn towards (1, pooled)."""
    middle = float(log_tokens.mean())
    design = np.stack([log_tokens - middle, np.ones_like(log_tokens)], axis=1)  # (n, 2)
    prior = np.array([1.0, middle + pooled])
    line = prior.copy()
    for _ in range(_NEWTON_STEPS):
        expected = np.exp((design @ line).clip(-LONGEST_LOG_TOKENS, LONGEST_LOG_TOKENS))
        # If answers scatter by hundreds of tokens, one token more or less says little. So the information is
        # counted in answers, not in tokens.
        scatter = max(float(((tokens - expected) ** 2 / expected).mean()), 1e-9)
        precision = np.diag([_SLOPE_PRECISION, _PRIOR_ANSWERS * float(expected.mean()) / scatter])
        gradient = design.T @ (tokens - expected) / scatter - precision @ (line - prior)
        information = (design * (expected / scatter)[:, None]).T @ design + precision
        step = np.linalg.solve(information, gradient)
        line = line + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-9:
            break
    return float(line[0]), float(line[1] - line[0] * middle)
