"""Columns over time, one for each day or hour. Pure.

The geometry is in per mille of the plot's width and height. The page stretches it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from serve.dashboard.charts.scale import axis_from_zero

SIZE = 1_000
_GAP = 0.25


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its rectangle, and a `label` with time and amount."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Columns:
    """A plot ready to draw.

    Args:
        columns: Columns from the first to the last.
        ticks: (place from the top in per mille, value) from the highest down.
        marks: Labels below: the first, the middle and the last one.
    """

    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, float], ...]
    marks: tuple[str, ...]


def columns_of(values: Sequence[float], labels: Sequence[str], marks: Sequence[str]) -> Columns:
    """Return the plot.

    Args:
        values: Height of each column, at least 0.
        labels: Description of each column.
        marks: Short name of each column.
    """
    axis = axis_from_zero(max(values, default=0.0))
    width = SIZE / max(len(values), 1)
    columns = []
    for number, (value, label) in enumerate(zip(values, labels, strict=True)):
        # A value above 0 is always visible: it has at least half a per cent of the height.
        height = max(axis.place(value) * SIZE, 5.0) if value > 0 else 0.0
        columns.append(
            Column(
                label,
                round((number + _GAP / 2) * width, 2),
                round(SIZE - height, 2),
                round(width * (1 - _GAP), 2),
                round(height, 2),
            )
        )
    ticks = tuple((round(SIZE - axis.place(value) * SIZE, 2), value) for value in reversed(axis.ticks))
    shown = (marks[0], marks[len(marks) // 2], marks[-1]) if len(marks) > 2 else tuple(marks)
    return Columns(tuple(columns), ticks, shown)
