"""Covariates and groups of rows: numbers from a model's facts and an effort, standardised over the rows of a fit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.abilities.model_facts import ModelFacts
from training.abilities.published import EFFORTS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_MIDDLE_EFFORT = 0.5
_NEWER_AT_MOST = 2.0  # generations from the middle of a line


@dataclass(frozen=True, slots=True, eq=False)
class CovariateScale:
    """How raw covariates become standardised ones; p covariates, of which those that may be unknown count twice.

    Args:
        means, stds: Mean and standard deviation of the known raw values, shape (raw,).
        centres: Mean of each finished covariate over the rows of the fit, shape (p,).
        line_versions: Middle of the versions of each line.
        groups: Numbers of the groups by their names; one mapping for vendor, line, root and model each.
    """

    means: Floats
    stds: Floats
    centres: Floats
    line_versions: dict[str, float]
    groups: tuple[dict[str, int], ...]

    @classmethod
    def of(cls, rows: Sequence[tuple[ModelFacts, str]]) -> "CovariateScale":
        """Return the scale of the rows of a fit, each a model's facts and an effort."""
        versions: dict[str, set[float]] = {}
        for facts, _ in rows:
            if facts.version is not None:
                versions.setdefault(facts.line, set()).add(facts.version)
        line_versions = {line: sum(values) / len(values) for line, values in versions.items()}
        raw = np.array([_raw(facts, line_versions) for facts, _ in rows])
        is_known = np.isfinite(raw)
        counts = np.maximum(is_known.sum(0), 1)
        means = np.where(is_known, raw, 0).sum(0) / counts
        stds = np.sqrt((np.where(is_known, raw - means, 0) ** 2).sum(0) / counts)
        groups = tuple(
            {name: place for place, name in enumerate(sorted({names[level] for names in map(_groups, rows)}))}
            for level in range(4)
        )
        scale = cls(means, np.maximum(stds, 1e-6), np.zeros(1), line_versions, groups)
        return cls(means, scale.stds, scale.covariates(rows).mean(0), line_versions, groups)

    def covariates(self, rows: Sequence[tuple[ModelFacts, str]]) -> Floats:
        """Return standardised covariates, shape (rows, p)."""
        raw = np.array([_raw(facts, self.line_versions) for facts, _ in rows])
        is_known = np.isfinite(raw)
        scaled = np.where(is_known, (raw - self.means) / self.stds, 0.0)
        certain = np.array([_certain(facts, effort) for facts, effort in rows])
        return np.asarray(np.hstack([scaled, ~is_known, certain]) - self.centres)

    def group_numbers(self, facts: ModelFacts) -> tuple[int | None, ...]:
        """Return the numbers of the model's vendor, line, root and name; None: no row of the fit was in the group."""
        return tuple(numbers.get(name) for numbers, name in zip(self.groups, _groups((facts, "")), strict=True))


def _groups(row: tuple[ModelFacts, str]) -> tuple[str, str, str, str]:
    facts = row[0]
    return facts.vendor, facts.line, facts.root, facts.model


def _raw(facts: ModelFacts, line_versions: dict[str, float]) -> tuple[float, ...]:
    """Return covariates that may be unknown; NaN: unknown."""
    middle = line_versions.get(facts.line)
    newer = math.nan
    if facts.version is not None and middle is not None:
        newer = min(max(facts.version - middle, -_NEWER_AT_MOST), _NEWER_AT_MOST)
    return (
        _log(facts.output_usd_per_mtok),
        _log(facts.size_b),
        _log(facts.active_b or facts.size_b),
        math.nan if facts.released is None else facts.released,
        newer,
    )


def _certain(facts: ModelFacts, effort: str) -> tuple[float, ...]:
    depth = EFFORTS.get(effort, _MIDDLE_EFFORT) - _MIDDLE_EFFORT
    return facts.tier, float(facts.reasons), float(facts.codes), 2 * depth, float(effort == ""), float(effort == "none")


def _log(value: float | None) -> float:
    return math.log(value) if value is not None and value > 0 else math.nan
