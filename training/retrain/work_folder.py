"""The work folder of a retraining: checkpoints, so that a killed run can continue, and a lock against a second run."""

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
    """Checkpoints of one retraining. A checkpoint is written in one step and never changed.

    Args:
        folder: Folder with a name that depends on everything that decides the result. So other inputs never use these
            checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise SettingsError(
                f"--work {folder}: cannot be created ({problem.strerror}): choose another folder"
            ) from None

    def path(self, name: str) -> Path:
        """Return the path of a checkpoint, which may not exist yet."""
        return self.folder / f"{name}.npz"

    def has(self, name: str) -> bool:
        """Tell whether a checkpoint exists."""
        return self.path(name).is_file()

    def put(self, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write the arrays of a step as a checkpoint."""
        write_arrays(self.path(name), arrays)

    def keep(self, name: str, make: Callable[[], Mapping[str, npt.NDArray[Any]]]) -> Arrays:
        """Return the arrays of a step from its checkpoint; without one, call `make` and write the checkpoint."""
        if not self.has(name):
            self.put(name, make())
        return read_arrays(self.path(name))

    def joined(
        self, name: str, parts: Callable[[], Iterator[npt.NDArray[Any]]], shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        """Return one memory-mapped float16 array of this shape, joined from parts along the first axis."""
        path = self.folder / f"{name}.npy"
        if not shape[0]:
            return np.zeros(shape, np.float16)  # an empty array cannot be memory-mapped
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
    """Write arrays to an `.npz` file in one step."""
    # numpy's stub takes allow_pickle for one of the arrays
    replace_file(path, lambda stream: np.savez(stream, **dict(arrays)))  # type: ignore[arg-type]


def read_arrays(path: Path) -> Arrays:
    """Read the arrays that `write_arrays` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a work folder; the operating system releases it when the process ends, even if it is killed.

    Raises:
        SettingsError: Another retraining holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK_FILE).open("a+")
    except OSError as problem:
        raise SettingsError(f"--work {folder}: cannot be written ({problem.strerror}): choose another folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise SettingsError(
                f"another retraining (process {holder}) is running in {folder}: wait until it ends, or give another "
                "--work"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
