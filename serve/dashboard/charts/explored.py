"""The data of a plot, for the library that lets people explore it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from serve.dashboard.charts.scatter import Dot

Explored = dict[str, Any]
"""A JSON object for `static/plots.js`: `kind` names the plot; the other fields are its own."""


def explored_columns(
    starts: Sequence[datetime], costs_usd: Sequence[float], requests: Sequence[int], labels: Sequence[str]
) -> Explored:
    """Return spending and requests over time.

    Args:
        starts: First instant of each day or hour, in the time zone that is shown.
        costs_usd: Spending in each.
        requests: Number of requests in each.
        labels: Description of each.
    """
    # Instants have no zone here, so that the axis shows the account's days and not the browser's.
    times = [start.replace(tzinfo=None).isoformat() for start in starts]
    return {"kind": "columns", "x": times, "usd": list(costs_usd), "requests": list(requests), "labels": list(labels)}


def explored_scatter(dots: Sequence[Dot], *, is_logarithmic: bool) -> Explored:
    """Return quality against cost. A logarithmic axis has no place for free lanes, so they are left out."""
    shown = [
        {
            "lane": dot.label,
            "description": dot.description,
            "usd": dot.cost_usd,
            "quality": dot.quality,
            "std": dot.quality_std,
            "kind": dot.kind,
        }
        for dot in dots
        if dot.cost_usd > 0 or not is_logarithmic
    ]
    return {"kind": "scatter", "dots": shown, "is_logarithmic": is_logarithmic}
