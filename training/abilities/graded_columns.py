"""Turns the grades of one column into each row's log odds with their sampling variance.

A row is a model at an effort, a column is a source or a group of its tasks. Rows answered different prompts, so the
prompts' difficulty is fitted at the same time, as in a Rasch model: the log odds of a grade are the ability of the row
plus the ease of the prompt (Rasch, "Probabilistic models for some intelligence and attainment tests", 1960). Grades
between 0 and 1 count as shares, and their spread compared with that of coin tosses is estimated.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
RowName = tuple[str, str]
"""A model, `vendor/name`, and an effort; "" is the provider's default."""

_ROUNDS = 60
_LEAST_WEIGHT = 1e-4
_LARGEST_SPREAD = 2.25  # variance of the rows' log odds; keeps rows without any good answer at finite values


@dataclass(frozen=True, slots=True, eq=False)
class GradedColumn:
    """What the grades of one column say.

    Args:
        rows: Names of the rows.
        log_odds: Log odds of the mean grade that each row would have on all prompts of the column, shape (rows,).
        variances: Sampling variance of `log_odds`, shape (rows,).
        n_prompts: Prompts that each row answered, shape (rows,).
        ease: Log odds that each prompt adds, by its id; the mean is 0.
        average: Ability of the average row, in log odds on a prompt of ease 0.
    """

    rows: tuple[RowName, ...]
    log_odds: Floats
    variances: Floats
    n_prompts: npt.NDArray[np.intp]
    ease: dict[str, float]
    average: float

    def ease_of(self, prompt_ids: Iterable[str]) -> float:
        """Return by how many log odds these prompts are easier than the whole column, for the average row.

        Prompts that the column does not have are left out; 0 if none is left.
        """
        here = [self.ease[prompt] for prompt in prompt_ids if prompt in self.ease]
        if not here:
            return 0.0
        return float(_log_odds(self._mean_grade(here)) - _log_odds(self._mean_grade(list(self.ease.values()))))

    def _mean_grade(self, ease: list[float]) -> Floats:
        return np.asarray(_chance(self.average + np.array(ease)).mean())


def read_column(grades: pd.DataFrame) -> GradedColumn:
    """Fit one column.

    Args:
        grades: Columns prompt_id, model, effort and score, 0..1; rows of one prompt, model and effort are averaged.
    """
    cells = grades.groupby(["prompt_id", "model", "effort"], as_index=False)["score"].mean()
    prompts, prompt = np.unique(cells["prompt_id"].to_numpy(str), return_inverse=True)
    named = pd.MultiIndex.from_arrays([cells["model"], cells["effort"]])
    row, rows = pd.factorize(named, sort=True)
    fit = _Rasch(cells["score"].to_numpy(np.float64), np.asarray(row, np.intp), prompt, len(rows), len(prompts))
    for _ in range(_ROUNDS):
        fit.improve()
    log_odds, variances = fit.log_odds()
    return GradedColumn(
        tuple((str(model), str(effort)) for model, effort in rows),
        log_odds,
        variances,
        np.bincount(row, minlength=len(rows)),
        dict(zip(map(str, prompts), fit.ease.tolist(), strict=True)),
        fit.average,
    )


class _Rasch:
    """Abilities and ease by Newton steps in turn, both shrunk; the spreads follow (empirical Bayes)."""

    def __init__(
        self, scores: Floats, row: npt.NDArray[np.intp], prompt: npt.NDArray[np.intp], n_rows: int, n_prompts: int
    ) -> None:
        self.scores, self.row, self.prompt = scores, row, prompt
        self.average = float(_log_odds(np.clip(scores.mean(), 0.02, 0.98)))
        self.ability = np.full(n_rows, self.average)
        self.ease = np.zeros(n_prompts)
        self.row_spread, self.prompt_spread, self.excess = 1.0, 1.0, 1.0

    def improve(self) -> None:
        residual, weight = self._residual()
        n = len(residual)
        free = max(n - len(self.ability) - 0.5 * len(self.ease), 0.3 * n)
        self.excess = float(np.clip((residual**2 / weight).sum() / free, 0.02, 2.0))
        precision = self._sum(weight, self.row, self.ability) + 1 / self.row_spread
        pull = self._sum(residual, self.row, self.ability) - (self.ability - self.average) / self.row_spread
        self.ability = self.ability + np.clip(pull / precision, -1, 1)
        residual, weight = self._residual()
        ease_precision = self._sum(weight, self.prompt, self.ease) + 1 / self.prompt_spread
        pull = self._sum(residual, self.prompt, self.ease) - self.ease / self.prompt_spread
        self.ease = self.ease + np.clip(pull / ease_precision, -1, 1)
        self.ability, self.ease = self.ability + self.ease.mean(), self.ease - self.ease.mean()
        self.average = float(self.ability.mean())
        spread = ((self.ability - self.average) ** 2 + 1 / precision).mean()
        self.row_spread = float(np.clip(spread, 0.01, _LARGEST_SPREAD))
        self.prompt_spread = max(float((self.ease**2 + 1 / ease_precision).mean()), 0.01)

    def log_odds(self) -> tuple[Floats, Floats]:
        """Return log odds of the mean grade on all prompts, not shrunk, and their variance.

        The unshrunk value is one step of Newton from the shrunk one, by the likelihood alone.
        """
        residual, weight = self._residual()
        information = self._sum(weight, self.row, self.ability)
        step = self._sum(residual, self.row, self.ability) / information
        ease_precision = self._sum(weight, self.prompt, self.ease) + 1 / self.prompt_spread
        squares = np.bincount(self.row, weight**2 / ease_precision[self.prompt], len(self.ability))
        totals = np.bincount(self.row, weight, len(self.ability))
        variance = 1 / information + squares / totals**2
        chances = _chance(self.ability[:, None] + self.ease)  # (rows, prompts)
        mean = np.clip(chances.mean(1), 1e-6, 1 - 1e-6)
        slope = (chances * (1 - chances)).mean(1) / (mean * (1 - mean))
        return _log_odds(mean) + slope * step, slope**2 * variance

    def _residual(self) -> tuple[Floats, Floats]:
        chance = _chance(self.ability[self.row] + self.ease[self.prompt])
        return self.scores - chance, np.maximum(chance * (1 - chance), _LEAST_WEIGHT)

    def _sum(self, values: Floats, groups: npt.NDArray[np.intp], like: Floats) -> Floats:
        return np.asarray(np.bincount(groups, values, len(like)) / self.excess)


def _chance(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def _log_odds(chance: Floats) -> Floats:
    return np.asarray(np.log(chance / (1 - chance)))
