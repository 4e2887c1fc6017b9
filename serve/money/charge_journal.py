"""The journal of one worker's holds and settlements, so that `kill -9` loses no charge and doubles none.

A hold is written before the provider is asked. The file is mapped into memory, so a record costs a copy and no system
call. The page cache keeps it when the process dies, but not when the machine does. What the machine loses is charged by
the leases that are no longer renewed (`BudgetRepository.write_off`).
"""

import contextlib
import errno
import mmap
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from serve.money.budget import Charge, Nusd
from serve.storage.file_lock import try_lock

_SUFFIX: Final = ".journal"
_LARGEST_BYTES: Final = 4_000_000
_RESERVED_BYTES: Final = 1 << 18


class HoldRecord(msgspec.Struct, frozen=True, tag="hold"):
    """An attempt is about to be sent and may cost as much as `amount_nusd`."""

    charge_id: str
    amount_nusd: int
    periods: tuple[tuple[str, str], ...]
    lane_id: str
    price_snapshot_id: str


class ProgressRecord(msgspec.Struct, frozen=True, tag="progress"):
    """An attempt has cost `amount_nusd` so far."""

    charge_id: str
    amount_nusd: int


class EndRecord(msgspec.Struct, frozen=True, tag="end"):
    """An attempt has ended. `amount_nusd` None: nothing is charged."""

    charge_id: str
    amount_nusd: int | None
    at_us: int
    is_estimated: bool


Record = HoldRecord | ProgressRecord | EndRecord
_decode = msgspec.json.Decoder(Record).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Recovered:
    """The charges in the journal of a worker that is gone.

    Args:
        worker_id: Id of the worker.
        charges: Everything that the worker may have spent: its settled attempts, and for each open hold the last known
            cost or the whole hold.
        n_open: Number of charges that had not been settled.
    """

    worker_id: str
    charges: tuple[Charge, ...]
    n_open: int


class ChargeJournal:
    """The journal of one living worker; locked for as long as it lives.

    Args:
        folder: Folder of all journals; it is made if it is missing.
        worker_id: Id of the worker.
        largest_bytes: Size above which the journal is rewritten with the records that are still needed.

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path, worker_id: str, largest_bytes: int = _LARGEST_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._worker_id = worker_id
        self._largest_bytes = largest_bytes
        self._number = 0
        self._needed: dict[str, list[Record]] = {}
        self._file = self._open()
        self._map = _reserve(self._file, 0)
        self._size = 0

    def write(self, record: Record) -> None:
        """Append a record; about two microseconds.

        Raises:
            OSError: The disk is full.
        """
        self._append(_encode(record) + b"\n")
        self._needed.setdefault(record.charge_id, []).append(record)

    def forget(self, charge_ids: Iterable[str]) -> None:
        """Forget attempts that are in the ledger now."""
        for charge_id in charge_ids:
            self._needed.pop(charge_id, None)
        if self._size > self._largest_bytes:
            self._rewrite()

    def close(self) -> None:
        """Close the journal of a worker that ends normally; an empty journal is removed."""
        self._map.close()
        if self._needed:
            os.ftruncate(self._file, self._size)
            os.close(self._file)
        else:
            _remove(self._file, self._path(self._number))

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._worker_id}.{number}{_SUFFIX}"

    def _open(self) -> int:
        while True:
            file = os.open(self._path(self._number), os.O_CREAT | os.O_RDWR, 0o600)
            if try_lock(file):
                return file
            _remove(file, self._path(self._number))  # another worker took the new, empty file for an abandoned one
            self._number += 1

    def _append(self, lines: bytes) -> None:
        end = self._size + len(lines)
        while end > len(self._map):
            full, self._map = self._map, _reserve(self._file, len(self._map))
            full.close()
        self._map[self._size : end] = lines
        self._size = end

    def _rewrite(self) -> None:
        """Write what is still needed into a new file, then remove the old one.

        A crash in between leaves both files; they say the same.
        """
        old_file, old_path, old_map = self._file, self._path(self._number), self._map
        self._number += 1
        self._file = self._open()
        self._map, self._size = _reserve(self._file, 0), 0
        for records in list(self._needed.values()):
            self._append(b"".join(_encode(record) + b"\n" for record in records))
        old_map.close()
        _remove(old_file, old_path)


def _reserve(file: int, size: int) -> mmap.mmap:
    """Lengthen a file of `size` bytes and map all of it.

    The bytes are really written: to use a mapped page without space on the disk would end the process.
    """
    os.lseek(file, size, os.SEEK_SET)
    if os.write(file, bytes(_RESERVED_BYTES)) < _RESERVED_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return mmap.mmap(file, size + _RESERVED_BYTES)


def _remove(file: int, path: Path) -> None:
    """Remove a journal that is still locked, then unlock it.

    In the other order, another worker could lock it in between and take it for the journal of a dead worker.
    """
    if sys.platform == "win32":  # pragma: no cover - an open file cannot be removed there
        os.close(file)
        path.unlink(missing_ok=True)
        return
    path.unlink(missing_ok=True)
    os.close(file)


@contextlib.contextmanager
def abandoned_journals(folder: Path, now_us: int) -> Iterator[list[Recovered]]:
    """Yield the charges in the journals of workers that are gone; remove these journals if the block does not fail.

    The journal of a living worker is locked and left alone. So is one that another process recovers at this moment.
    """
    unlocked: dict[str, list[tuple[int, Path]]] = {}
    alive: set[str] = set()
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        worker_id = _worker_of(path)
        with contextlib.suppress(FileNotFoundError):
            file = os.open(path, os.O_RDWR)
            if try_lock(file):
                unlocked.setdefault(worker_id, []).append((file, path))
            else:
                alive.add(worker_id)
                os.close(file)
    try:
        # A living worker may have begun a new file meanwhile; that file is not among the unlocked ones.
        n_files = Counter(_worker_of(path) for path in folder.glob(f"*{_SUFFIX}"))
        alive |= {worker_id for worker_id, files in unlocked.items() if n_files[worker_id] > len(files)}
        gone = {worker_id: files for worker_id, files in unlocked.items() if worker_id not in alive}
        yield [_recover(worker_id, [path for _, path in files], now_us) for worker_id, files in gone.items()]
        for _, path in (entry for files in gone.values() for entry in files):
            path.unlink(missing_ok=True)
    finally:
        for file, _ in (entry for files in unlocked.values() for entry in files):
            os.close(file)


def _worker_of(path: Path) -> str:
    return path.name.rpartition(".")[0].rpartition(".")[0]


def _recover(worker_id: str, paths: list[Path], now_us: int) -> Recovered:
    holds: dict[str, HoldRecord] = {}
    so_far: dict[str, Nusd] = {}
    ends: dict[str, EndRecord] = {}
    for record in (record for path in paths for record in _read(path)):
        if isinstance(record, HoldRecord):
            holds[record.charge_id] = record
        elif isinstance(record, ProgressRecord):
            so_far[record.charge_id] = record.amount_nusd
        else:
            ends[record.charge_id] = record
    charges = []
    for charge_id, hold in holds.items():
        end = ends.get(charge_id) or EndRecord(charge_id, so_far.get(charge_id, hold.amount_nusd), now_us, True)
        if end.amount_nusd is not None:
            amount, at_us, is_estimated = end.amount_nusd, end.at_us, end.is_estimated
            charges.append(
                Charge(charge_id, amount, hold.periods, at_us, is_estimated, hold.lane_id, hold.price_snapshot_id)
            )
    return Recovered(worker_id, tuple(charges), len(holds.keys() - ends.keys()))


def _read(path: Path) -> Iterator[Record]:
    """Yield the records of a journal. The last one is skipped if it was cut when the process was killed."""
    for line in path.read_bytes().rstrip(b"\0").split(b"\n"):
        with contextlib.suppress(msgspec.MsgspecError):
            yield _decode(line)
