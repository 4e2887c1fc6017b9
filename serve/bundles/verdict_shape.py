"""A verdict as the history, the API and the pages show it: plain values, which are kept without the bundle's folder."""

from typing import Any

from router.verdict import Interval, Verdict


def verdict_shape(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON; money in USD a request, each interval as [estimate, low, high]."""
    return {
        "champion_version": verdict.champion_version,
        "is_better": verdict.is_better,
        "reasons": list(verdict.reasons),
        "utility_gain_usd": _interval(verdict.utility_gain_usd),
        "guards": [
            {
                "name": guard.name,
                "metric": guard.metric,
                "outcome": guard.outcome,
                "change": _interval(guard.change),
                "note": guard.note,
            }
            for guard in verdict.guards
        ],
        "n_requests": verdict.n_requests,
        "judged_at": verdict.judged_at.isoformat(timespec="seconds"),
    }


def _interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.estimate, interval.low, interval.high]
