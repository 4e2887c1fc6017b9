"""What the router's page shows of bundles: what stands where, what the gate says, and who changed what. Pure."""

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
        is_better: What the gate said.
        gain: In words, USD per 1,000 requests; empty: the logs could not tell.
        guards: (name, outcome, why).
        why: The reasons.
        basis: On what it rests.
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
        name: Of its folder.
        version: Empty where it is refused.
        problem: Why it is refused; empty: it is not.
        stages: Where it stands, in words.
        verdict: What the gate says; None: it was never judged.
        may_be_promoted: By the gate's verdict, against the present champion.
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
    """A change."""

    at: datetime
    actor: str
    what: str
    version: str
    note: str
    verdict: VerdictLine | None


def bundle_lines(found: Sequence[FoundBundle], staging: Staging, champion_version: str) -> list[BundleLine]:
    """Return the bundles, those at work first."""
    lines = []
    for each in found:
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


def verdict_line(told: Mapping[str, Any]) -> VerdictLine:
    """Return a verdict in short."""
    interval = told["utility_gain_usd"]
    gain = (
        ""
        if interval is None
        else f"{_usd(interval[0])} ({_usd(interval[1])} to {_usd(interval[2])}) per 1,000 requests"
    )
    return VerdictLine(
        is_better=told["is_better"],
        gain=gain,
        guards=[(guard["name"], guard["outcome"], guard["note"]) for guard in told["guards"]],
        why=" ".join(told["reasons"]),
        basis=f"on {told['n_requests']:,} requests, against {told['champion_version']}",
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
