"""Reads from each bundle how its lanes changed lately, where the watch begins. Blocks; for a thread."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from router.errors import BundleError
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from serve.watch.seen_files import SeenFiles

_log = logging.getLogger("llmdeal.watch")


class BundleShifts:
    """Holds the recent shifts that retraining wrote into the bundles, and notices new bundles.

    Args:
        bundle_folders: Function that returns the folders of all bundles.
    """

    def __init__(self, bundle_folders: Callable[[], Iterable[Path]]) -> None:
        self._bundle_folders = bundle_folders
        self._files = SeenFiles()
        self._by_version: dict[str, RecentShifts] = {}

    def look(self) -> bool:
        """Read the files again if any has changed since the last look; return whether one has."""
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
        """Return version of the bundle -> its recent shifts, as of the last look."""
        return self._by_version
