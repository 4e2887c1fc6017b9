"""Names a retraining by a hash of everything that decides its result, so the same inputs give the same bundle."""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

from router.account_correction import AccountCorrections
from training.corpus.graded_corpus import Corpus
from training.retrain.champion import Champion
from training.retrain.settings import RetrainSettings
from training.telemetry.folder import find_exports

RECIPE_VERSION = 3
"""Version of the method; it changes whenever the same inputs would give another result."""
_SUFFIX = re.compile(r"-r[0-9a-f]{8}$")


def fingerprint_of(
    logs: Path,
    champion: Champion,
    start: Champion,
    corpus: Corpus | None,
    settings: RetrainSettings,
    corrections: AccountCorrections | None = None,
) -> str:
    """Return the hash, in hexadecimal. Exports are hashed by their manifests, which hold the hash of every file.

    Args:
        logs: Folder of exports.
        champion: Bundle in use.
        start: Bundle that learning starts from.
        corpus: Graded answers; None: there are none.
        settings: Settings of the retraining.
        corrections: Account corrections that the champion is served with; None: it has none.
    """
    content = {
        "recipe": RECIPE_VERSION,
        "exports": sorted(_hash((export.folder / "export.json").read_bytes()) for export in find_exports(logs)),
        "champion": [champion.bundle.version, champion.manifest["files"]],
        "start": [start.bundle.version, start.manifest["files"]],
        "corpus": None if corpus is None else corpus.hashes,
        "account_corrections": None if corrections is None else _hash(corrections.to_bytes()),
        "settings": asdict(settings),
    }
    return _hash(json.dumps(content, sort_keys=True).encode())


def challenger_name(champion: Champion, fingerprint: str) -> str:
    """Return the challenger's name: the champion's without an earlier retraining's suffix, plus this one's suffix."""
    return f"{_SUFFIX.sub('', str(champion.manifest['name']))}-r{fingerprint[:8]}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
