"""Reads which accounts erased their logged requests or took back their consent to keep texts or features.

Readers then skip those requests or their contents, in older exports too.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.errors import TelemetryError

NOTHING, NONE, FEATURES, FULL = range(4)
_LEVELS: Final = {"nothing": NOTHING, "none": NONE, "features": FEATURES, "full": FULL}
Levels = npt.NDArray[np.int8]


class Forgotten:
    """Tells how much of each request may be read.

    `FULL`: everything. `FEATURES`: no text. `NONE`: neither text nor features. `NOTHING`: the request is skipped.

    Args:
        entries: (account, end, level) of each entry; it holds for the account's requests before that end.
    """

    def __init__(self, entries: Iterable[tuple[str, np.datetime64, int]] = ()) -> None:
        self._of_account: dict[str, list[tuple[np.datetime64, int]]] = {}
        for account, until, level in entries:
            self._of_account.setdefault(account, []).append((until, level))

    def levels(self, accounts: Any, started_at: npt.NDArray[np.datetime64]) -> Levels:
        """Return each request's level, shape (n,).

        Args:
            accounts: Arrow array or column of strings, length n.
            started_at: Shape (n,), start of each request.
        """
        levels = np.full(len(started_at), FULL, np.int8)
        if not self._of_account:
            return levels
        encoded = accounts.dictionary_encode()
        encoded = encoded.combine_chunks() if hasattr(encoded, "combine_chunks") else encoded
        codes = encoded.indices.to_numpy()
        for code, account in enumerate(encoded.dictionary.to_pylist()):
            for until, level in self._of_account.get(account, ()):
                is_meant = (codes == code) & (started_at < until)
                levels[is_meant] = np.minimum(levels[is_meant], level)
        return levels


def read_forgotten(paths: Iterable[Path]) -> Forgotten:
    """Return the entries of the lists of several exports together.

    Raises:
        TelemetryError: A list cannot be read.
    """
    return Forgotten(entry for path in paths for entry in _entries(path))


def _entries(path: Path) -> list[tuple[str, np.datetime64, int]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [
            (str(entry["account"]), _instant(entry["until"]), _LEVELS[entry["kept"]]) for entry in content["accounts"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TelemetryError(path, f"cannot be read ({type(error).__name__})", "make the export again") from None


def _instant(text: str) -> np.datetime64:
    return np.datetime64(round(datetime.fromisoformat(text).timestamp() * 1e6), "us")
