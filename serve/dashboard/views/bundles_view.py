"""The router's page about bundles: their stages, the gate's verdicts, and the history of changes. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serve.bundles.staging import StageEntry, Staging
from serve.bundles.store import FoundBundle
from serve.bundles.verdict_shape import verdict_shape

_PER_REQUESTS = 1_000


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """A verdict in short.

    Args:
        is_better: Whether the gate says that the bundle is better.
        gain: Gain in words, USD per 1,000 requests; empty: the logs do not show it.
        guards: Guards as (name, outcome, reason).
        why: Reasons of the verdict.
        basis: Requests and champion that the verdict rests on.
    """

    is_better: bool
    gain: str
    guards: Sequence[tuple[str, str, str]]
    why: str
    basis: str


@dataclass(frozen=True, slots=True)
class BundleLine:
    """A bundle.

    Args:
        name: Name of its folder.
        version: Version; empty: the bundle is refused.
        problem: Reason why it is refused; empty: it is not refused.
        stages: Stages of the bundle, in words.
        verdict: Verdict of the gate; None: the bundle was never judged.
        may_be_promoted: Whether the gate says that it is better than the present champion.
        is_champion: Whether it decides.
    """

    name: str
    version: str
    problem: str
    stages: Sequence[str]
    verdict: VerdictLine | None
    may_be_promoted: bool
    is_champion: bool


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A change of stages."""

    at: datetime
    actor: str
    what: str
    version: str
    note: str
    verdict: VerdictLine | None


def bundle_lines(bundles: Sequence[FoundBundle], staging: Staging, champion_version: str) -> list[BundleLine]:
    """Return the bundles, those with a stage first."""
    lines = []
    for each in bundles:
        version = each.bundle.version if each.bundle else ""
        stages = ["champion"] if version == champion_version else []
        on_trial = (("canary", "of conversations", staging.canary), ("shadow", "of requests", staging.shadow))
        stages += [
            f"{stage}, {standing.share:.0%} {of}"
            for stage, of, standing in on_trial
            if standing and standing.version == version
        ]
        verdict = each.verdict
        may_be = verdict is not None and verdict.is_better and verdict.champion_version == champion_version
        shown = None if verdict is None else verdict_line(verdict_shape(verdict))
        is_champion = version == champion_version
        lines.append(
            BundleLine(each.name, version, each.problem, stages, shown, may_be and not is_champion, is_champion)
        )
    return sorted(lines, key=lambda line: (not line.is_champion, not line.stages, line.name))


def history_lines(entries: Sequence[StageEntry], most: int = 30) -> list[HistoryLine]:
    """Return the latest changes, the newest first."""
    return [_history_line(entry) for entry in reversed(entries[-most:])]


def verdict_line(verdict: Mapping[str, Any]) -> VerdictLine:
    """Return a verdict in short."""
    interval = verdict["utility_gain_usd"]
    gain = (
        ""
        if interval is None
        else f"{_usd(interval[0])} ({_usd(interval[1])} to {_usd(interval[2])}) per 1,000 requests"
    )
    return VerdictLine(
        is_better=verdict["is_better"],
        gain=gain,
        guards=[(guard["name"], guard["outcome"], guard["note"]) for guard in verdict["guards"]],
        why=" ".join(verdict["reasons"]),
        basis=f"on {verdict['n_requests']:,} requests, against {verdict['champion_version']}",
    )


def _history_line(entry: StageEntry) -> HistoryLine:
    change = entry.change
    share = f" on {change.standing.share:.0%}" if change.action in ("canary", "shadow") else ""
    what = (
        f"{change.action} the {change.stage}"
        if change.action == "stop"
        else f"{change.action.replace('-', ' ')}{share}"
    )
    verdict = None if change.verdict is None else verdict_line(change.verdict)
    return HistoryLine(entry.at, entry.actor, what, change.standing.version, change.note, verdict)


def _usd(usd_a_request: float) -> str:
    amount = usd_a_request * _PER_REQUESTS
    return f"{'−' if amount < 0 else '+'}${abs(amount):,.2f}"
