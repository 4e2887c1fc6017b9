"""Reads the accounts' own corrections from disk, and reads them again when the files change. Blocks; for a thread."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from router.account_correction import ACCOUNT_CORRECTIONS_FILE, AccountCorrections, LaneCoefficients
from router.errors import BundleError
from serve.lanes.directory import LaneDirectory
from serve.settings import default_database_file
from serve.watch.seen_files import SeenFiles

_log = logging.getLogger("llmdeal.watch")


def account_corrections_folder(setting: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of the setting, else `account_corrections` next to the default database."""
    return Path(setting) if setting else default_database_file(environment).parent / "account_corrections"


class AccountWatch:
    """Holds the corrections for every bundle: those in the folder, which win, and those inside the bundles.

    Args:
        folder: Folder of files `<version of the bundle>.npz`; it may be missing.
        bundle_folders: Function that returns the folders of all bundles.
    """

    def __init__(self, folder: Path, bundle_folders: Callable[[], Iterable[Path]]) -> None:
        self._folder = folder
        self._bundle_folders = bundle_folders
        self._files = SeenFiles()
        self._by_version: dict[str, AccountCorrections] = {}

    def look(self) -> bool:
        """Read the files again if any has changed since the last look; return whether one has."""
        paths = [folder / ACCOUNT_CORRECTIONS_FILE for folder in self._bundle_folders()]
        paths += sorted(self._folder.glob("*.npz")) if self._folder.is_dir() else []
        changed = self._files.changed(paths)
        if changed is None:
            return False
        self._by_version = {}
        for path in changed:
            try:
                corrections = AccountCorrections.read(path)
            except BundleError as error:
                _log.error("accounts are served as the bundle says: %s", error)
                continue
            self._by_version[corrections.bundle_version] = corrections
        return True

    def coefficients_of(self, account: str, directory: LaneDirectory) -> dict[str, LaneCoefficients]:
        """Return version of the bundle -> an account's correction for its lanes; versions without one are absent."""
        coefficients = {}
        for version, corrections in self._by_version.items():
            correction = corrections.of(account)
            n_trained = len(directory.quality_model.trained_names)
            is_fitting = version != directory.router_version or len(corrections.space.centre) == n_trained
            if correction is not None and is_fitting:
                coefficients[version] = LaneCoefficients(corrections.space, correction.of_lanes(directory.table))
        return coefficients
