"""The reliability of predictions: the share of good answers in each tenth of predicted quality. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BINS = 10
_FEWEST = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers of similar predicted quality: mean prediction, mean observed value, and number of answers."""

    predicted: float
    observed: float
    count: int


def reliability_bins(
    predicted: npt.NDArray[np.floating], observed: npt.NDArray[np.floating], fewest: int = _FEWEST
) -> tuple[ReliabilityBin, ...]:
    """Return the tenths that hold at least `fewest` answers.

    Args:
        predicted, observed: Qualities 0..1, shape (n,).
        fewest: Least number of answers in a bin; smaller bins are left out, because their mean says little.
    """
    number = np.clip((predicted * _BINS).astype(int), 0, _BINS - 1)
    counts = np.bincount(number, minlength=_BINS)
    sums = [np.bincount(number, weights=values, minlength=_BINS) for values in (predicted, observed)]
    return tuple(
        ReliabilityBin(float(sums[0][row] / counts[row]), float(sums[1][row] / counts[row]), int(counts[row]))
        for row in range(_BINS)
        if counts[row] >= fewest
    )


def calibration_error(bins: Sequence[ReliabilityBin]) -> float | None:
    """Return the mean distance of predicted from observed, weighted by count; None without bins."""
    total = sum(each.count for each in bins)
    return sum(abs(each.predicted - each.observed) * each.count for each in bins) / total if total else None
