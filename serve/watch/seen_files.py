"""Notices that files appeared, disappeared or changed."""

from collections.abc import Iterable
from pathlib import Path


class SeenFiles:
    """Remembers names, sizes and times of some files at the last look."""

    def __init__(self) -> None:
        self._seen: tuple[tuple[str, int, int], ...] = ()

    def changed(self, paths: Iterable[Path]) -> list[Path] | None:
        """Return those of these files that exist; None: nothing has changed since the last look."""
        seen = tuple(each for path in paths if (each := _as_seen(path)) is not None)
        if seen == self._seen:
            return None
        self._seen = seen
        return [Path(path) for path, _, _ in seen]


def _as_seen(path: Path) -> tuple[str, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path), status.st_mtime_ns, status.st_size
