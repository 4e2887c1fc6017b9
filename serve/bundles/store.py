"""The bundles on disk: those that were put into the folder of bundles, those that came with the program, and the configured one."""

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
        name: Of its folder.
        folder: Where it is.
        bundle: Checked; None: it is refused.
        problem: Why it is refused, or why its verdict cannot be read; empty: nothing is wrong.
        verdict: What the gate said of it; None: it was never judged.
    """

    name: str
    folder: Path
    bundle: Bundle | None
    problem: str
    verdict: Verdict | None


class BundleStore:
    """Finds bundles by name.

    Args:
        folder: Of further bundles; need not be there.
        configured: The bundle that decides while none is promoted.
    """

    def __init__(self, folder: Path, configured: Path) -> None:
        self.folder = folder
        self.configured = configured
        self._seen: dict[str, tuple[Fingerprint, FoundBundle]] = {}

    def folders(self) -> dict[str, Path]:
        """Return all bundles by name. Names of the program's own bundles are taken."""
        found = {**_bundles_in(self.folder), **_bundles_in(models_dir())}
        return {**found, self.configured.name: self.configured}

    def folder_of(self, name: str) -> Path:
        """Return a bundle's folder.

        Raises:
            NotFoundError: There is none of this name.
        """
        found = self.folders().get(name)
        if found is None:
            raise NotFoundError(
                f"there is no bundle {name[:80]!r} in {self.folder}: 'llmdeal bundle list' shows those that there are"
            )
        return found

    def look_at(self, name: str) -> FoundBundle:
        """Return a bundle with what is known of it, or why it is refused. Blocks: reads all of it, to check it.

        Raises:
            NotFoundError: There is none of this name.
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
        """Return all bundles, by name; each is looked at anew when its folder has changed."""
        found = []
        for name, folder in sorted(self.folders().items()):
            present, seen = fingerprint(folder), self._seen.get(name)
            if seen is None or seen[0] != present:
                seen = self._seen[name] = (present, self.look_at(name))
            found.append(seen[1])
        return found


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
