"""Where a retraining keeps what it has done so far, so that one that was killed goes on where it was; and the lock that keeps a second one out."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.atomic_write import replace_file
from training.errors import SettingsError

Arrays = dict[str, npt.NDArray[Any]]
_LOCK_FILE = "lock"


class WorkFolder:
    """Checkpoints of one retraining. A checkpoint appears whole or not at all; it is never changed.

    Args:
        folder: Named by everything that decides the result, so that other inputs never meet these checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise SettingsError(f"--work {folder}: cannot be made ({problem.strerror}): choose another place") from None

    def path(self, name: str) -> Path:
        """Return where a checkpoint lies, or would."""
        return self.folder / f"{name}.npz"

    def has(self, name: str) -> bool:
        """Tell whether a checkpoint is there."""
        return self.path(name).is_file()

    def put(self, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keep a stage's arrays."""
        write_arrays(self.path(name), arrays)

    def keep(self, name: str, make: Callable[[], Mapping[str, npt.NDArray[Any]]]) -> Arrays:
        """Return a stage's arrays: from its checkpoint, else made and kept."""
        if not self.has(name):
            self.put(name, make())
        return read_arrays(self.path(name))

    def joined(
        self, name: str, parts: Callable[[], Iterator[npt.NDArray[Any]]], shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        """Return one memory-mapped float16 array of this shape, put together from parts along the first axis."""
        path = self.folder / f"{name}.npy"
        if not shape[0]:
            return np.zeros(shape, np.float16)  # nothing cannot be mapped
        if not path.is_file():
            unfinished = path.with_suffix(".unfinished")
            whole = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float16, shape=shape)
            start = 0
            for part in parts():
                whole[start : start + len(part)] = part
                start += len(part)
            whole.flush()
            del whole
            os.replace(unfinished, path)
        return np.asarray(np.load(path, mmap_mode="r"))

    def remove(self) -> None:
        """Delete all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays to an `.npz` that appears at once."""
    replace_file(path, lambda stream: np.savez(stream, **dict(arrays)))  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for one of them


def read_arrays(path: Path) -> Arrays:
    """Read what `write_arrays` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a work folder; the system lets go of it when the process ends, however that happens.

    Raises:
        SettingsError: Another retraining holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK_FILE).open("a+")
    except OSError as problem:
        raise SettingsError(f"--work {folder}: cannot be written ({problem.strerror}): choose another place") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise SettingsError(
                f"another retraining (process {holder}) is at work in {folder}: wait for its end, or give another --work"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
