"""Finds the bundle that a retraining starts from: the root, if possible, else the champion.

The root is the bundle trained from grades that the champion descends from. If every challenger started from the last
one, the same weeks of logs would count again and again. The result would be too certain, and every error would be
passed on. From the root, all logs count once. Two things can prevent it:

- Requests whose text was not kept: the root cannot be asked about them.
- Models that the champion learned from logs that do not exist any more.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from router.bundle import MANIFEST_FILE, load_bundle
from router.errors import BundleError
from training.retrain.champion import Champion, read_champion
from training.retrain.evidence_table import Evidence
from training.retrain.lane_models import LaneModels

LEARNED_FROM_LOGS = "learned_from_logs"
_MOST_UNUSABLE = 0.05
"""Largest share of the judged requests that may be left out because their text was not kept."""


def find_root(champion: Champion, folders: Iterable[Path]) -> Champion:
    """Return the trained bundle that the champion descends from.

    It is the champion itself if that was trained, or if an earlier bundle is in none of the folders.

    Args:
        champion: Bundle in use.
        folders: Folders of bundles; the champion's folder and the bundles shipped with the program are searched too.
    """
    places = [champion.bundle.folder.resolve().parent, *folders, *_shipped()]
    root = champion
    while LEARNED_FROM_LOGS in root.manifest:
        earlier = _bundle_of(str(root.manifest["base"]), places)
        if earlier is None:
            return champion
        root = earlier
    return root


def can_start(start: Champion, champion: Champion, evidence: Evidence, models: LaneModels) -> bool:
    """Tell whether learning can start from another bundle than the champion without losing what the champion knows.

    Args:
        start: Bundle that learning would start from.
        champion: Bundle in use.
        evidence: Evidence of the logs, as read with `start`.
        models: Models that would be learned: those of the start, and new ones with enough rewards.
    """
    if start.bundle.version == champion.bundle.version:
        return True
    has_text = evidence.n_unusable <= _MOST_UNUSABLE * (len(evidence) + evidence.n_unusable)
    return has_text and set(champion.trained_names) <= set(models.names)


def seen_until(champion: Champion) -> int:
    """Return the time until which a bundle was learned from logs, microseconds; -1 if it was not."""
    record = champion.manifest.get(LEARNED_FROM_LOGS)
    if record is None:
        return -1
    last_at_us = int(datetime.fromisoformat(str(record["last_at"])).timestamp() * 1e6)
    return last_at_us + 999_999  # the manifest has whole seconds


def _bundle_of(version: str, places: Iterable[Path]) -> Champion | None:
    name = version.partition("+")[0]
    for folder in (place / name for place in places):
        try:
            if (folder / MANIFEST_FILE).is_file() and load_bundle(folder).version == version:
                return read_champion(folder)
        except BundleError:  # another program's folder, or an incomplete bundle
            continue
    return None


def _shipped() -> Iterator[Path]:
    """Yield the folders of bundles that are shipped with the program.

    The gateway's package is only located, not imported.
    """
    serve = find_spec("serve")
    if serve is not None and serve.origin is not None:
        package = Path(serve.origin).parent
        yield from (package.parent / "models", package / "bundled" / "models")
