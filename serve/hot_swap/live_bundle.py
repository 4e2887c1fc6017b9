"""Bundles that are loaded, and bundles that the history wants but that were refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serve.bundles.fingerprint import Fingerprint
from serve.bundles.generation import Generation
from serve.bundles.staging import Standing
from serve.lanes.directory import LaneDirectory


@dataclass(frozen=True, slots=True)
class LiveBundle:
    """A bundle that is in use in this process.

    Args:
        standing: Entry of the history; None: the configured bundle, which the history does not name.
        generation: Loaded bundle.
        directories: Every account's lanes as the bundle sees them, while it is on trial. Empty for the champion, whose
            lanes are those that all requests use.
    """

    standing: Standing | None
    generation: Generation
    directories: Mapping[str, LaneDirectory] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedBundle:
    """A bundle that the history wants, but that cannot be used.

    Args:
        standing: Entry of the history; None: the configured bundle.
        problem: Text that says what is wrong and what to do.
        seen: Fingerprint of its folder at that time; the bundle is tried again when the fingerprint changes.
    """

    standing: Standing | None
    problem: str
    seen: Fingerprint
