"""Bundles that are loaded, and those that were wanted and are refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serve.bundles.fingerprint import Fingerprint
from serve.bundles.generation import Generation
from serve.bundles.staging import Standing
from serve.lanes.directory import LaneDirectory


@dataclass(frozen=True, slots=True)
class LiveBundle:
    """A bundle that is at work in this process.

    Args:
        standing: As the history has it; None: the configured bundle, which no line of the history names.
        generation: The loaded bundle.
        directories: Every account's lanes as it sees them, while it is on trial; a champion's are everybody's.
    """

    standing: Standing | None
    generation: Generation
    directories: Mapping[str, LaneDirectory] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedBundle:
    """A bundle that is wanted and cannot be used.

    Args:
        standing: What is wanted; None: the configured bundle.
        problem: Why not, and the mend.
        seen: What its folder held then; it is tried again once that changes.
    """

    standing: Standing | None
    problem: str
    seen: Fingerprint
