"""Gives an export its folder: a new one that appears when it is complete, or an earlier one under a lock."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from serve.errors import ExportError
from serve.storage.file_lock import try_lock
from serve.telemetry.export.files import PARTS, is_export

_LOCK_NAME: Final = ".lock"


@contextmanager
def folder_that_appears_at_once(out_dir: Path) -> Iterator[Path]:
    """Give a temporary folder next to `out_dir`; rename it to `out_dir` at the end, or remove it after an error.

    Raises:
        ExportError: `out_dir` holds files that are no export.
    """
    _refuse_foreign_folder(out_dir)
    parent = out_dir.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=parent))
    try:
        # mkdtemp makes folders for the owner alone; the export gets the permissions of any new folder.
        folder = workshop / "new"
        folder.mkdir()
        yield folder
        _replace_folder(out_dir, folder, workshop / "old")
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def has_export(out_dir: Path) -> bool:
    """Return whether `out_dir` holds an export to add to.

    Raises:
        ExportError: The folder holds files that are no export.
    """
    _refuse_foreign_folder(out_dir)
    return out_dir.exists() and any(not path.name.startswith(".") for path in out_dir.iterdir())


@contextmanager
def locked_folder(out_dir: Path) -> Iterator[None]:
    """Keep other processes from adding to the same export.

    Raises:
        ExportError: Another process is adding to it.
    """
    file = os.open(out_dir / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(file):
            raise ExportError(f"another export is adding to {out_dir}: wait for its end")
        yield
    finally:
        os.close(file)


def remove_strays(out_dir: Path, listed: Iterable[str]) -> None:
    """Remove files that the manifest does not list, because the export was interrupted before."""
    wanted = set(listed)
    for part in PARTS:
        for path in (out_dir / part).rglob("part-*.parquet"):
            if path.relative_to(out_dir).as_posix() not in wanted:
                path.unlink()


def _replace_folder(out_dir: Path, new: Path, old: Path) -> None:
    if out_dir.exists():
        out_dir.rename(old)
    try:
        new.rename(out_dir)
    except OSError:
        if old.exists():
            old.rename(out_dir)
        raise


def _refuse_foreign_folder(out_dir: Path) -> None:
    if not out_dir.exists():
        return
    if not out_dir.is_dir():
        raise ExportError(f"{out_dir} is a file: give a folder that is new or empty")
    if any(not path.name.startswith(".") for path in out_dir.iterdir()) and not is_export(out_dir):
        raise ExportError(f"{out_dir} is not empty and not an earlier export: give a folder that is new or empty")
