"""The present stages of bundles, from their history. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

Action = Literal["promote", "auto-promote", "rollback", "canary", "shadow", "stop"]
Stage = Literal["champion", "canary", "shadow"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A bundle in a stage.

    Args:
        bundle: Name of the bundle, which is the name of its folder.
        version: Version that is logged with every decision; the folder must still hold it.
        share: Share of the conversations for a canary, of the requests for a shadow.
    """

    bundle: str
    version: str
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class StageChange:
    """A line of the history, before it is stored.

    Args:
        action: Kind of change.
        stage: Stage that changed.
        standing: Bundle that is in the stage from now on; for `stop`, the one that left it.
        note: Reason, in the words of the actor.
        verdict: Verdict of the gate on it; see `serve.bundles.verdict_shape`.
    """

    action: Action
    stage: Stage
    standing: Standing
    note: str = ""
    verdict: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StageEntry:
    """A line of the history.

    Args:
        number: Number of the line; it counts from 1, without a gap.
        at: Time of the change.
        actor: Identity that made the change: a person, `cli:…`, or `gateway`.
        change: The change.
    """

    number: int
    at: datetime
    actor: str
    change: StageChange


@dataclass(frozen=True, slots=True)
class Staging:
    """The bundles in all stages.

    Args:
        number: Number of the last line that was read; 0: there is none.
        promoted: Former champions that are not rolled back, and the present one last; empty: the configured bundle is
            the champion.
        canary: Bundle that decides a share of the conversations.
        shadow: Bundle that is asked, but does not decide.
    """

    number: int = 0
    promoted: tuple[Standing, ...] = ()
    canary: Standing | None = None
    shadow: Standing | None = None

    @property
    def champion(self) -> Standing | None:
        """The champion; None: the configured bundle."""
        return self.promoted[-1] if self.promoted else None

    def after(self, number: int, change: StageChange) -> "Staging":
        """Return the stages after one more line."""
        staging = replace(self, number=number)
        match change.action:
            case "promote" | "auto-promote":
                staging = replace(staging, promoted=(*staging.promoted, change.standing))
                staging = _without(staging, change.standing.version)
            case "rollback":
                staging = replace(staging, promoted=staging.promoted[:-1])
                staging = _without(staging, change.standing.version)
            case "canary":
                staging = replace(staging, canary=change.standing)
            case "shadow":
                staging = replace(staging, shadow=change.standing)
            case "stop":
                staging = replace(staging, canary=None) if change.stage == "canary" else replace(staging, shadow=None)
        return staging


def staging_of(entries: Sequence[StageEntry]) -> Staging:
    """Return the stages after a history, the oldest line first."""
    staging = Staging()
    for entry in entries:
        staging = staging.after(entry.number, entry.change)
    return staging


def _without(staging: Staging, version: str) -> Staging:
    """Return the stages without a trial of the bundle that is the champion now."""
    canary, shadow = (
        None if on_trial and on_trial.version == version else on_trial for on_trial in (staging.canary, staging.shadow)
    )
    return replace(staging, canary=canary, shadow=shadow)
