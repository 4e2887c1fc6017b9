"""Whether probabilities keep their word: in each tenth of predicted quality, how many answers were good. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BINS = 10
_FEWEST = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers of like predicted quality: the mean of what was predicted, of what came, and how many they are."""

    predicted: float
    observed: float
    count: int


def reliability_bins(
    predicted: npt.NDArray[np.floating], observed: npt.NDArray[np.floating], fewest: int = _FEWEST
) -> tuple[ReliabilityBin, ...]:
    """Return the tenths that hold at least `fewest` answers.

    Args:
        predicted, observed: Shape (n,), 0..1.
        fewest: Bins with less are left out: their mean says nothing.
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
