"""The fingerprint of a folder: shows whether its files have changed, without reading them."""

from pathlib import Path

Fingerprint = tuple[tuple[str, int, int], ...]


def fingerprint(folder: Path) -> Fingerprint:
    """Return names, times and sizes of a folder's files; empty if there is no such folder."""
    try:
        stats = [(each.name, each.stat()) for each in folder.iterdir()]
    except OSError:
        return ()
    return tuple(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats))
