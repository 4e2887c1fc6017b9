"""What a plot says, as data for the library that lets people explore it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from serve.dashboard.charts.scatter import Dot

Explored = dict[str, Any]
"""A JSON object: `kind` says which plot; the rest is that plot's own. `static/plots.js` reads it."""


def explored_columns(
    starts: Sequence[datetime], costs_usd: Sequence[float], requests: Sequence[int], labels: Sequence[str]
) -> Explored:
    """Return spending and requests over time.

    Args:
        starts: First instant of each day or hour, in the time zone that is shown.
        costs_usd: What was spent in it.
        requests: How many requests came.
        labels: What is said of each.
    """
    # The axis is to show the account's days, not the browser's: instants go without their zone.
    times = [start.replace(tzinfo=None).isoformat() for start in starts]
    return {"kind": "columns", "x": times, "usd": list(costs_usd), "requests": list(requests), "labels": list(labels)}


def explored_scatter(dots: Sequence[Dot], *, is_logarithmic: bool) -> Explored:
    """Return quality against cost; on a logarithmic axis what costs nothing has no place, and is left out."""
    shown = [
        {
            "lane": dot.label,
            "told": dot.told,
            "usd": dot.cost_usd,
            "quality": dot.quality,
            "std": dot.quality_std,
            "kind": dot.kind,
        }
        for dot in dots
        if dot.cost_usd > 0 or not is_logarithmic
    ]
    return {"kind": "scatter", "dots": shown, "is_logarithmic": is_logarithmic}
