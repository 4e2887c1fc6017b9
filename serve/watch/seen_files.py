"""Notices that files came, went or were written anew."""

from collections.abc import Iterable
from pathlib import Path


class SeenFiles:
    """Remembers some files as they were at the last look: their names, sizes and times."""

    def __init__(self) -> None:
        self._seen: tuple[tuple[str, int, int], ...] = ()

    def changed(self, paths: Iterable[Path]) -> list[Path] | None:
        """Return those of these files that there are; None: all is as it was at the last look."""
        seen = tuple(found for path in paths if (found := _as_seen(path)) is not None)
        if seen == self._seen:
            return None
        self._seen = seen
        return [Path(path) for path, _, _ in seen]


def _as_seen(path: Path) -> tuple[str, int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return str(path), told.st_mtime_ns, told.st_size
