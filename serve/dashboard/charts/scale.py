"""Axes: the places of values on a plot, and round numbers to write next to it. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_STEPS: Final = (1, 2, 2.5, 5, 10)
_WIDEST_LINEAR: Final = 20.0


@dataclass(frozen=True, slots=True)
class Axis:
    """A line from `low` to `high`; places are 0 at its beginning and 1 at its end.

    Args:
        low, high: Values at the two ends, low < high; on a logarithmic axis both above 0.
        ticks: Values to mark, ascending, between the ends.
        is_logarithmic: Whether equal factors are equal distances.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the place of a value, between 0 and 1."""
        if self.is_logarithmic:
            share = (math.log(max(value, self.low)) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)


def axis_from_zero(largest: float, n_ticks: int = 4) -> Axis:
    """Return a linear axis from 0 to a round number at or above `largest`; to 1 if `largest` is 0."""
    if largest <= 0:
        return Axis(0.0, 1.0, (0.0, 1.0))
    step = _round_step(largest / n_ticks)
    n_steps = math.ceil(largest / step - 1e-9)
    return Axis(0.0, n_steps * step, tuple(number * step for number in range(n_steps + 1)))


def cost_axis(costs: Sequence[float]) -> Axis:
    """Return an axis for amounts above 0: logarithmic if they differ by more than twenty times, else linear."""
    positive = [cost for cost in costs if cost > 0]
    if not positive:
        return Axis(0.0, 1.0, (0.0, 1.0))
    low, high = min(positive), max(positive)
    if high / low <= _WIDEST_LINEAR:
        return axis_from_zero(high)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = tuple(10.0**power for power in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks, True)


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))
