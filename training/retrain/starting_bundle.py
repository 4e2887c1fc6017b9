"""Where a retraining starts: at the bundle that was trained from grades, of which the champion descends, wherever the logs can speak to that one.

A chain in which every challenger starts from the last one learns from the same weeks again and again, each time as though they were news: what is learned gets too
sure, and every harm is handed on. From the root, all logs count once. Two things stand against it: requests whose text was not kept, for what the root would have
believed of them cannot be asked any more; and models that the champion learned of from logs that are not there any more.
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
"""Of the judged requests, the share that may have to be left out for want of their text."""


def find_root(champion: Champion, folders: Iterable[Path]) -> Champion:
    """Return the bundle that the champion was first learned from; the champion itself where it was trained, or where that one lies nowhere near.

    Args:
        champion: The bundle in use.
        folders: Of bundles; those beside the champion and those that come with the program are looked at, too.
    """
    places = [champion.bundle.folder.resolve().parent, *folders, *_shipped()]
    found = champion
    while LEARNED_FROM_LOGS in found.manifest:
        earlier = _bundle_of(str(found.manifest["base"]), places)
        if earlier is None:
            return champion
        found = earlier
    return found


def can_start(start: Champion, champion: Champion, evidence: Evidence, models: LaneModels) -> bool:
    """Tell whether learning can start from another bundle than the champion without losing what that knows.

    Args:
        start: Where it would start.
        champion: The bundle in use.
        evidence: As the start reads it.
        models: That would be learned: of the start, and new ones with enough rewards.
    """
    if start.bundle.version == champion.bundle.version:
        return True
    has_text = evidence.n_unusable <= _MOST_UNUSABLE * (len(evidence) + evidence.n_unusable)
    return has_text and set(champion.trained_names) <= set(models.names)


def seen_until(champion: Champion) -> int:
    """Return up to when a bundle was learned from logs, microseconds; -1: it was not."""
    said = champion.manifest.get(LEARNED_FROM_LOGS)
    return (
        -1 if said is None else int(datetime.fromisoformat(str(said["last_at"])).timestamp() * 1e6) + 999_999
    )  # the manifest has whole seconds


def _bundle_of(version: str, places: Iterable[Path]) -> Champion | None:
    name = version.partition("+")[0]
    for folder in (place / name for place in places):
        try:
            if (folder / MANIFEST_FILE).is_file() and load_bundle(folder).version == version:
                return read_champion(folder)
        except BundleError:  # somebody else's, or half of one
            continue
    return None


def _shipped() -> Iterator[Path]:
    """Yield where bundles that come with the program may lie: the gateway's package is looked at as a place, and not imported."""
    serve = find_spec("serve")
    if serve is not None and serve.origin is not None:
        package = Path(serve.origin).parent
        yield from (package.parent / "models", package / "bundled" / "models")
