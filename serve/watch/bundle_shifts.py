"""Finds where the watch begins under each bundle: what its retraining saw of the lanes lately. Blocks; for a thread."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from router.errors import BundleError
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from serve.watch.seen_files import SeenFiles

_log = logging.getLogger("llmdeal.watch")


class BundleShifts:
    """Knows the recent shifts that bundles carry, and notices new bundles.

    Args:
        bundle_folders: Returns those of all bundles.
    """

    def __init__(self, bundle_folders: Callable[[], Iterable[Path]]) -> None:
        self._bundle_folders = bundle_folders
        self._files = SeenFiles()
        self._by_version: dict[str, RecentShifts] = {}

    def look(self) -> bool:
        """Read what was written since the last look; return whether that was anything."""
        changed = self._files.changed(folder / RECENT_SHIFTS_FILE for folder in self._bundle_folders())
        if changed is None:
            return False
        self._by_version = {}
        for path in changed:
            try:
                recent = RecentShifts.read(path)
            except BundleError as error:
                _log.error("the watch begins from nothing under a bundle: %s", error)
                continue
            self._by_version[recent.bundle_version] = recent
        return True

    def by_version(self) -> Mapping[str, RecentShifts]:
        """Return bundle's version -> its recent shifts, as of the last look."""
        return self._by_version
