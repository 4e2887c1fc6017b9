"""The bundles on disk: those in the folder of bundles, those that came with the program, and the configured one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from router.bundle import MANIFEST_FILE, Bundle, load_bundle
from router.errors import BundleError
from router.verdict import Verdict, read_verdict
from serve.bundles.choice import bundle_folder
from serve.bundles.fingerprint import Fingerprint, fingerprint
from serve.errors import NotFoundError
from serve.packaged_files import models_dir
from serve.settings import Settings
from serve.storage.database_choice import bundles_folder


@dataclass(frozen=True, slots=True)
class FoundBundle:
    """A bundle in the store.

    Args:
        name: Name of its folder.
        folder: Path of its folder.
        bundle: The checked bundle; None: it cannot be used.
        problem: Reason why it cannot be used, or why its verdict cannot be read; empty: nothing is wrong.
        verdict: Verdict of the gate; None: it was never judged.
    """

    name: str
    folder: Path
    bundle: Bundle | None
    problem: str
    verdict: Verdict | None


class BundleStore:
    """Finds bundles by name.

    Args:
        folder: Folder of further bundles; it need not exist.
        configured: Folder of the bundle that decides while no other one is promoted.
    """

    def __init__(self, folder: Path, configured: Path) -> None:
        self.folder = folder
        self.configured = configured
        self._seen: dict[str, tuple[Fingerprint, FoundBundle]] = {}

    def folders(self) -> dict[str, Path]:
        """Return the folders of all bundles by name. A bundle of the program comes before another one of its name."""
        folders = {**_bundles_in(self.folder), **_bundles_in(models_dir())}
        return {**folders, self.configured.name: self.configured}

    def folder_of(self, name: str) -> Path:
        """Return a bundle's folder.

        Raises:
            NotFoundError: There is no bundle of this name.
        """
        folder = self.folders().get(name)
        if folder is None:
            raise NotFoundError(
                f"there is no bundle {name[:80]!r} in {self.folder}: 'llmdeal bundle list' shows those that there are"
            )
        return folder

    def look_at(self, name: str) -> FoundBundle:
        """Return a bundle, or the reason why it cannot be used. Blocks: it reads the whole bundle, to check it.

        Raises:
            NotFoundError: There is no bundle of this name.
        """
        folder = self.folder_of(name)
        try:
            bundle = load_bundle(folder)
        except BundleError as error:
            return FoundBundle(name, folder, None, str(error), None)
        try:
            return FoundBundle(name, folder, bundle, "", read_verdict(folder))
        except BundleError as error:
            return FoundBundle(name, folder, bundle, str(error), None)

    def all(self) -> list[FoundBundle]:
        """Return all bundles, by name; a bundle is read again when its folder has changed."""
        bundles = []
        for name, folder in sorted(self.folders().items()):
            present, seen = fingerprint(folder), self._seen.get(name)
            if seen is None or seen[0] != present:
                seen = self._seen[name] = (present, self.look_at(name))
            bundles.append(seen[1])
        return bundles


def open_store(settings: Settings, environment: Mapping[str, str]) -> BundleStore:
    """Return the store that the settings describe.

    Raises:
        ConfigurationError: The configured bundle is not there.
    """
    return BundleStore(bundles_folder(settings.bundles, settings.database, environment), bundle_folder(settings.bundle))


def _bundles_in(folder: Path) -> dict[str, Path]:
    try:
        return {each.name: each for each in folder.iterdir() if (each / MANIFEST_FILE).is_file()}
    except OSError:
        return {}
