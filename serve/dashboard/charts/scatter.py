"""Quality against cost: every candidate of a decision as a dot. Geometry only; `macros.html` draws it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from serve.dashboard.charts.scale import Axis, cost_axis

Kind = Literal["chosen", "runner_up", "eligible", "excluded"]
LARGE: Final = (640, 300)
SMALL: Final = (340, 280)
"""Width and height on wide and on narrow screens. Text keeps its size, so the plot has another shape."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 26, 40
_TICK_WIDTH: Final = 85
_LONGEST_LABEL: Final = 26
_DRAWN_LAST: Final = {"excluded": 0, "eligible": 1, "runner_up": 2, "chosen": 3}


@dataclass(frozen=True, slots=True)
class Dot:
    """One candidate.

    Args:
        label: Name of the lane.
        description: Lane and expected figures in words.
        cost_usd: Expected cost, at least 0.
        quality: Expected quality, 0..1.
        quality_std: Standard deviation of the quality; None: unknown.
        kind: Role of the lane in the decision.
    """

    label: str
    description: str
    cost_usd: float
    quality: float
    quality_std: float | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class PlacedDot:
    """A dot with its place.

    Args:
        dot: Dot that is placed.
        x, y: Place in the plot's units.
        y_low, y_high: Places one standard deviation below and above it.
        label: Name of the lane, short enough for the plot.
        label_is_left: Whether the label stands to the left of the dot.
    """

    dot: Dot
    x: float
    y: float
    y_low: float
    y_high: float
    label: str
    label_is_left: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: its place and its value."""

    place: float
    value: float


@dataclass(frozen=True, slots=True)
class Scatter:
    """A plot ready to draw.

    Args:
        dots: Placed dots, the important ones last, so that they lie on top.
        x_ticks, y_ticks: Marks of costs in USD, and of qualities.
        width, height: Size of the whole plot.
        left, right, top, bottom: Edges of the plotting area.
        is_logarithmic: Whether the cost axis is logarithmic.
        frontier: Points of the line of the best quality for each cost; empty: there are fewer than two.
    """

    dots: tuple[PlacedDot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    is_logarithmic: bool
    frontier: str


def scatter_of(dots: Sequence[Dot], size: tuple[int, int] = LARGE) -> Scatter:
    """Return the plot in this size. A free lane stands at the left edge."""
    width, height = size
    x_axis = cost_axis([dot.cost_usd for dot in dots])
    y_axis = _quality_axis([dot.quality for dot in dots])
    left, right, top, bottom = float(_LEFT), float(width - _RIGHT), float(_TOP), float(height - _BOTTOM)

    def x_of(cost: float) -> float:
        return round(left + x_axis.place(cost) * (right - left), 1)

    def y_of(quality: float) -> float:
        return round(bottom - y_axis.place(quality) * (bottom - top), 1)

    placed = [
        PlacedDot(
            dot,
            x_of(dot.cost_usd),
            y_of(dot.quality),
            y_of(dot.quality - (dot.quality_std or 0.0)),
            y_of(dot.quality + (dot.quality_std or 0.0)),
            dot.label if len(dot.label) <= _LONGEST_LABEL else dot.label[: _LONGEST_LABEL - 1] + "…",
            x_of(dot.cost_usd) > (left + right) / 2,
        )
        for dot in sorted(dots, key=lambda dot: _DRAWN_LAST[dot.kind])
    ]
    return Scatter(
        tuple(placed),
        tuple(Tick(x_of(value), value) for value in _spread(x_axis.ticks, width)),
        tuple(Tick(y_of(value), value) for value in y_axis.ticks),
        width,
        height,
        left,
        right,
        top,
        bottom,
        x_axis.is_logarithmic,
        _frontier([dot for dot in placed if dot.dot.kind != "excluded"]),
    )


def _spread(ticks: Sequence[float], width: int) -> tuple[float, ...]:
    """Return as many ticks as have room for their text."""
    every = max(1, -(-len(ticks) * _TICK_WIDTH // width))
    return tuple(ticks[::every])


def _quality_axis(qualities: Sequence[float]) -> Axis:
    """Return an axis up to 1 that begins at 0, 0.5 or 0.7, so that less than half of it is empty."""
    least = min(qualities, default=0.0)
    low = 0.0 if least < 0.5 else 0.5 if least < 0.75 else 0.7
    step = 0.25 if low == 0.0 else 0.1
    n = round((1 - low) / step)
    return Axis(low, 1.0, tuple(round(low + number * step, 2) for number in range(n + 1)))


def _frontier(dots: Sequence[PlacedDot]) -> str:
    """Return `x,y x,y …` from cheap to expensive, through the dots that are better than every cheaper one."""
    best: list[PlacedDot] = []
    for dot in sorted(dots, key=lambda dot: (dot.dot.cost_usd, -dot.dot.quality)):
        if not best or dot.dot.quality > best[-1].dot.quality:
            best.append(dot)
    return " ".join(f"{dot.x},{dot.y}" for dot in best) if len(best) > 1 else ""
