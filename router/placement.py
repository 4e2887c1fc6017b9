"""Places a model that was never trained on among those that were, by a few dozen graded answers.

Models mostly agree on which prompts are hard: a few principal components of the trained models' logits hold nearly all
differences. A new model is a point in that small space, and the trained models show where such points usually lie. So

    logit(x) = c0 + c . z(x),    (c0, c) ~ N(mean, covariance) of the trained models, updated by the graded answers

with z(x) the components of the prompt, each of variance 1. This is a logistic regression with a Gaussian prior. Its
uncertainty is Laplace's approximation (MacKay 1992, "The evidence framework applied to classification networks").
Lengths are placed in the same way, on the log of the trained models' mean length.
"""

from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np

from router.arrays import Float32s, Floats, Rows
from router.log_odds import logit, sigmoid
from router.prompt_choice import PromptChoice
from router.reference_answers import ReferenceAnswers

N_COMPONENTS = 8
"""On the shipped corpus, 50 answers help most with 8 components: 2 and 4 mix up tasks, 12 are too many to fit."""
_NEWTON_STEPS = 30
_LENGTH_STD = 0.6
"""Standard deviation of the log of an answer's length around its expectation, on the shipped corpus."""
_SUM_PRIOR = 10.0
"""Weight of the uncorrected lengths, in answers, when the sum of the lengths is corrected."""
_PRIOR_RIDGE = 0.02
"""Variance added to the spread of the trained models: a new model may differ from all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class GradedAnswers:
    """A model's graded answers to `n` prompts, and the bundle's beliefs about those prompts.

    Args:
        quality: P(good answer) of the trained models, shape (n, m).
        completion_tokens: Expected tokens of the trained models, shape (n, m).
        score: Scores of the new model, 0..1, shape (n,).
        answer_tokens: Tokens of the new model's answers, shape (n,); NaN where unknown.
    """

    quality: Float32s
    completion_tokens: Float32s
    score: Float32s
    answer_tokens: Float32s


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A new model in terms of the `m` trained ones.

    Args:
        weights: Weights of the trained models, shape (m,): logit = weights . logit(trained quality) + offset.
        offset: Offset in that formula.
        logit_std: Standard deviation of that belief, averaged over prompts.
        log_tokens_offset, log_tokens_slope: Line of the lengths: log tokens = slope * log(mean of the trained models'
            tokens) + offset.
        n_answers: Number of graded answers that it was fitted to.
        shift: Amount by which the answers moved the mean logit over the reference prompts away from its prior.
        graded_on: Day of the newest answer; None: unknown.
    """

    weights: Floats
    offset: float
    logit_std: float
    log_tokens_offset: float
    log_tokens_slope: float
    n_answers: int
    shift: float = 0.0
    graded_on: date | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PlacementSpace:
    """The space of models, made from a bundle's reference answers.

    Args:
        centre: Mean logit of each trained model, shape (m,).
        directions: Principal directions, shape (m, k); components = (logits - centre) @ directions, each of variance 1
            over the reference prompts.
        mean, covariance: Mean and covariance of (c0, c), shapes (k + 1,) and (k + 1, k + 1).
        length_mean, length_covariance: Mean and covariance of (offset, slope) of the log lengths, shapes (2,) and (2,
            2).
    """

    centre: Floats
    directions: Floats
    mean: Floats
    covariance: Floats
    length_mean: Floats
    length_covariance: Floats

    @classmethod
    def of(cls, reference: ReferenceAnswers) -> Self:
        """Return the space of the trained models."""
        logits = logit(reference.quality)
        centre = logits.mean(axis=0)
        centred = logits - centre
        variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))  # ascending
        k = min(N_COMPONENTS, len(centre))
        scales = np.sqrt(np.maximum(variances[::-1][:k], 1e-9))
        directions = axes[:, ::-1][:, :k] / scales
        loadings = axes[:, ::-1][:, :k] * scales  # each model's loadings on the components
        mean, covariance = _spread(np.concatenate([centre[:, None], loadings], axis=1))
        length_mean, length_covariance = _spread(_length_lines(reference.completion_tokens))
        return cls(centre, directions, mean, covariance, length_mean, length_covariance)

    def design(self, quality: Float32s) -> Floats:
        """Return (1, components) of prompts, shape (n, k + 1), from the trained models' P(good answer), (n, m)."""
        components = (logit(quality) - self.centre) @ self.directions
        return np.concatenate([np.ones((len(components), 1)), components], axis=1)

    def place(
        self, answers: GradedAnswers, ability: float | None = None, ability_std: float | None = None
    ) -> Placement:
        """Place a model.

        Args:
            answers: Graded answers of the model; without any, the placement is the prior.
            ability: Prior mean of its mean logit; None: like the trained models.
            ability_std: Standard deviation of that prior; None: like the trained models.
        """
        coefficients, posterior = self.believe(answers, ability, ability_std)
        offset, slope = self._length_line(answers)
        weights = self.directions @ coefficients[1:]
        return Placement(
            weights,
            float(coefficients[0] - weights @ self.centre),
            float(np.sqrt(np.trace(posterior))),  # the components have mean 0 and variance 1
            offset,
            slope,
            len(answers.score),
            # The components have mean 0, so c0 is the mean logit.
            shift=float(coefficients[0] - (self.mean[0] if ability is None or ability_std is None else ability)),
        )

    def believe(
        self, answers: GradedAnswers | None = None, ability: float | None = None, ability_std: float | None = None
    ) -> tuple[Floats, Floats]:
        """Return the mean and the covariance of a model's coefficients, shapes (k + 1,) and (k + 1, k + 1).

        Args:
            answers: Graded answers of the model; None: it has none.
            ability, ability_std: Prior, as in `place`.
        """
        mean, precision = self._belief(ability, ability_std)
        if answers is None or not len(answers.score):
            return mean, np.asarray(np.linalg.inv(precision), np.float64)
        return _logistic_fit(self.design(answers.quality), answers.score.astype(np.float64), mean, precision)

    def choose(self, quality: Float32s, count: int, kinds: Rows | None = None) -> Rows:
        """Return the places of the `count` prompts whose answers say most about a new model, the best first.

        The information of a graded answer is taken at the prior. See `router.prompt_choice`.

        Args:
            quality: P(good answer) of the trained models for the candidate prompts, shape (n, m).
            count: Number of prompts; at most `n` are returned.
            kinds: Number of each prompt's kind, shape (n,); kinds take turns. None: all prompts are of one kind.
        """
        one_kind = np.zeros(len(quality), np.intp)
        choice = PromptChoice(self.design(quality), one_kind if kinds is None else kinds, self.mean, self.covariance)
        chosen = []
        for _ in range(min(count, len(quality))):
            best = int(choice.gains().argmax())
            chosen.append(best)
            choice.mark_asked(best)
            choice.expect_answer(best)
        return np.array(chosen, np.intp)

    def _belief(self, ability: float | None, ability_std: float | None) -> tuple[Floats, Floats]:
        if ability is None or ability_std is None:
            return self.mean, np.asarray(np.linalg.inv(self.covariance), np.float64)
        # A belief about c0 moves the belief about c, as far as the two are correlated among the trained models.
        gain = self.covariance[:, 0] / self.covariance[0, 0]
        mean = self.mean + gain * (ability - self.mean[0])
        covariance = self.covariance + np.outer(gain, gain) * (ability_std**2 - self.covariance[0, 0])
        return mean, np.asarray(np.linalg.inv(covariance), np.float64)

    def _length_line(self, answers: GradedAnswers) -> tuple[float, float]:
        is_counted = ~np.isnan(answers.answer_tokens)
        typical = np.log(answers.completion_tokens[is_counted].mean(axis=1).astype(np.float64))
        seen = np.log(np.maximum(answers.answer_tokens[is_counted], 1).astype(np.float64))
        design = np.stack([np.ones_like(typical), typical], axis=1)
        precision = np.linalg.inv(self.length_covariance)
        information = design.T @ design / _LENGTH_STD**2 + precision
        offset, slope = np.linalg.solve(information, design.T @ seen / _LENGTH_STD**2 + precision @ self.length_mean)
        # Correct the offset so that the sum of the lengths is right, not the mean of their logs. With few answers it is
        # drawn towards no correction.
        expected = np.exp(offset + slope * typical)
        ratio = (
            (np.exp(seen).sum() + _SUM_PRIOR * expected.mean()) / ((len(seen) + _SUM_PRIOR) * expected.mean())
            if len(seen)
            else 1.0
        )
        return float(offset + np.log(ratio)), float(slope)


def _spread(points: Floats) -> tuple[Floats, Floats]:
    """Return the mean and the slightly widened covariance of the trained models' points, shape (m, k)."""
    centred = points - points.mean(axis=0)
    covariance = centred.T @ centred / max(len(points) - 1, 1)
    return points.mean(axis=0), covariance + _PRIOR_RIDGE * np.eye(points.shape[1])


def _length_lines(completion_tokens: Float32s) -> Floats:
    """Return (offset, slope) of each trained model's log length on the log of the mean length, shape (m, 2)."""
    typical = np.log(completion_tokens.mean(axis=1).astype(np.float64))
    design = np.stack([np.ones_like(typical), typical], axis=1)
    lines, *_ = np.linalg.lstsq(design, np.log(np.maximum(completion_tokens, 1)).astype(np.float64), rcond=None)
    return np.asarray(lines.T, np.float64)


def _logistic_fit(design: Floats, score: Floats, mean: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Return the most probable coefficients and their covariance, by Newton's method."""
    coefficients = mean.copy()
    information = precision
    for _ in range(_NEWTON_STEPS):
        chance = sigmoid(design @ coefficients)
        gradient = design.T @ (score - chance) - precision @ (coefficients - mean)
        information = (design * (chance * (1 - chance))[:, None]).T @ design + precision
        step = np.linalg.solve(information, gradient)
        coefficients = coefficients + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    return coefficients, np.asarray(np.linalg.inv(information), np.float64)
