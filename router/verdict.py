"""The promotion gate's verdict on a bundle, in `verdict.json`. `training` writes it, `serve` reads it.

The manifest has no hash of it: a verdict does not change the bundle, and the bundle may be judged again on later logs.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, get_args

from router.errors import BundleError

VERDICT_FILE: Final = "verdict.json"
VERDICT_FORMAT_VERSION: Final = 1
_REMEDY = "judge the bundle again, or delete the file"

GuardedMetric = Literal["quality", "cost_usd", "latency_ms"]
GuardOutcome = Literal["kept", "broken", "unknown"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the ends of its confidence interval, all in one unit."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Guard:
    """A metric that must not become worse while the utility becomes better.

    Args:
        name: Name for people: `quality, account acme`.
        metric: Guarded metric: quality 0..1, cost in USD a request, or latency in ms a request.
        group: The account or kind of request that it is about (`account acme`); None: all requests.
        change: Challenger less champion, in the metric's unit; None: the logs cannot tell.
        margin: The largest change for the worse that is allowed, in the metric's unit, at least 0.
        outcome: `unknown` where the logs cannot tell.
        note: Explanation of the outcome, for people.
    """

    name: str
    metric: GuardedMetric
    group: str | None
    change: Interval | None
    margin: float
    outcome: GuardOutcome
    note: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on whether a challenger is better than the champion, by the logs.

    Args:
        challenger_version, champion_version: Versions of the bundles, as logged with every decision.
        is_better: Whether the gate lets the challenger through.
        reasons: Reasons in sentences; at least one.
        utility_gain_usd: Challenger less champion, USD a request; None: the logs cannot tell.
        guards: Guarded metrics.
        n_requests: Number of logged requests that it rests on.
        judged_at: Time of the verdict, with its time zone.
    """

    challenger_version: str
    champion_version: str
    is_better: bool
    reasons: tuple[str, ...]
    utility_gain_usd: Interval | None
    guards: tuple[Guard, ...]
    n_requests: int
    judged_at: datetime


def write_verdict(folder: Path, verdict: Verdict) -> Path:
    """Write a verdict into a bundle's folder in one step, and return its path. An earlier verdict is replaced.

    Raises:
        BundleError: The folder cannot be written.
    """
    path = folder / VERDICT_FILE
    content = (
        {"format_version": VERDICT_FORMAT_VERSION} | asdict(verdict) | {"judged_at": verdict.judged_at.isoformat()}
    )
    unfinished = folder / f".{VERDICT_FILE}.new"
    try:
        unfinished.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as problem:
        raise BundleError(f"{path}: cannot be written ({problem.strerror}): choose a folder that can be") from None
    return path


def read_verdict(folder: Path) -> Verdict | None:
    """Return the verdict on a bundle, or None when it was never judged.

    Raises:
        BundleError: The file exists but cannot be read, or is of another format.
    """
    path = folder / VERDICT_FILE
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise BundleError(f"{path}: cannot be read ({problem.strerror}): {_REMEDY}") from None
    except ValueError as problem:
        raise BundleError(f"{path}: is not JSON ({problem}): {_REMEDY}") from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != VERDICT_FORMAT_VERSION:
        raise BundleError(
            f"{path}: format_version is {version!r}, this program reads {VERDICT_FORMAT_VERSION}: {_REMEDY}"
        )
    try:
        return _verdict_of(content)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise BundleError(f"{path}: is malformed ({problem!r}): {_REMEDY}") from None


def _verdict_of(content: Mapping[str, object]) -> Verdict:
    judged_at = datetime.fromisoformat(str(content["judged_at"]))
    if judged_at.tzinfo is None:
        raise ValueError("judged_at has no time zone")
    if not isinstance(content["is_better"], bool):
        raise TypeError("is_better is not true or false")
    reasons, guards = content["reasons"], content["guards"]
    if not isinstance(reasons, list) or not isinstance(guards, list):
        raise TypeError("reasons and guards are lists")
    return Verdict(
        challenger_version=str(content["challenger_version"]),
        champion_version=str(content["champion_version"]),
        is_better=content["is_better"],
        reasons=tuple(str(reason) for reason in reasons),
        utility_gain_usd=_interval_of(content["utility_gain_usd"]),
        guards=tuple(_guard_of(guard) for guard in guards),
        n_requests=int(str(content["n_requests"])),
        judged_at=judged_at,
    )


def _guard_of(content: Mapping[str, object]) -> Guard:
    metric: GuardedMetric = content["metric"]  # type: ignore[assignment]  # checked below
    outcome: GuardOutcome = content["outcome"]  # type: ignore[assignment]  # checked below
    if metric not in get_args(GuardedMetric) or outcome not in get_args(GuardOutcome):
        raise ValueError(f"unknown metric {metric!r} or outcome {outcome!r}")
    group = content["group"]
    return Guard(
        name=str(content["name"]),
        metric=metric,
        group=None if group is None else str(group),
        change=_interval_of(content["change"]),
        margin=float(str(content["margin"])),
        outcome=outcome,
        note=str(content["note"]),
    )


def _interval_of(content: object) -> Interval | None:
    if content is None:
        return None
    if not isinstance(content, Mapping):
        raise TypeError("an interval is an object")
    return Interval(*(float(str(content[end])) for end in ("estimate", "low", "high")))
