"""Whether a folder is still what it was, told without reading its files."""

from pathlib import Path

Fingerprint = tuple[tuple[str, int, int], ...]


def fingerprint(folder: Path) -> Fingerprint:
    """Return names, times and sizes of a folder's files; nothing where there is none."""
    try:
        found = [(each.name, each.stat()) for each in folder.iterdir()]
    except OSError:
        return ()
    return tuple(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in found))
