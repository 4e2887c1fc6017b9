"""The files of a telemetry export: Parquet parts in a folder per day, and the manifest that lists them."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from router.telemetry_schema import (
    EXPORT_FORMAT,
    EXPORT_MANIFEST,
    FORGOTTEN_LIST,
    TELEMETRY_SCHEMA_VERSION,
    ForgottenContent,
)
from serve.errors import ExportError

if TYPE_CHECKING:
    import pyarrow as pa

_Row = TypeVar("_Row")
_ROW_GROUP: Final = 2_000
PARTS: Final = ("attempts", "feedback", "lanes")


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file: its path inside the export, with forward slashes, its rows, its size and the SHA-256 of its bytes."""

    path: str
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export holds."""

    out_dir: Path
    since: datetime
    until: datetime
    files: tuple[ExportedFile, ...]

    @property
    def attempt_rows(self) -> int:
        """Attempts, all files together."""
        return self._rows_of("attempts/")

    @property
    def feedback_rows(self) -> int:
        """Pieces of feedback, all files together."""
        return self._rows_of("feedback/")

    def _rows_of(self, part: str) -> int:
        return sum(file.rows for file in self.files if file.path.startswith(part))


def write_partitions(
    folder: Path,
    part: str,
    dated_rows: Iterator[tuple[str, list[_Row]]],
    to_arrow: "Callable[[list[_Row]], pa.Table]",
    file_rows: int,
) -> list[ExportedFile]:
    """Write pairs of UTC date and rows, ascending, to new files `part/date=…/part-NNNNN.parquet`.

    Args:
        folder: Folder of the export.
        part: Name of the part: `attempts` or `feedback`.
        dated_rows: Pairs of UTC date and rows; read while the files are written.
        to_arrow: Function that turns rows into a table.
        file_rows: Number of rows after which a new file begins.
    """
    files: list[ExportedFile] = []
    for date, same_date in groupby(dated_rows, lambda dated: dated[0]):
        partition = folder / part / f"date={date}"
        partition.mkdir(parents=True, exist_ok=True)
        files.extend(_write_files(folder, partition, (to_arrow(rows) for _, rows in same_date), file_rows))
    return files


def write_table(folder: Path, part: str, table: "pa.Table") -> ExportedFile:
    """Write one table to a new file `part/part-NNNNN.parquet`."""
    (folder / part).mkdir(exist_ok=True)
    (file,) = _write_files(folder, folder / part, iter([table]), max(table.num_rows, 1))
    return file


def write_again(folder: Path, file: ExportedFile, table: "pa.Table") -> Iterator[ExportedFile]:
    """Write the rows that are left of a file to a new file next to it; no rows, no file."""
    slices = (table.slice(start, _ROW_GROUP) for start in range(0, table.num_rows, _ROW_GROUP))
    yield from _write_files(folder, (folder / file.path).parent, slices, max(table.num_rows, 1))


def write_json(folder: Path, name: str, content: object, rows: int) -> ExportedFile:
    """Write a small file of the export."""
    path = folder / name
    _put(path, content)
    return ExportedFile(name, rows, path.stat().st_size, _sha256_of(path))


def _write_files(folder: Path, partition: Path, tables: "Iterator[pa.Table]", file_rows: int) -> Iterator[ExportedFile]:
    import pyarrow.parquet as pq

    taken = [int(path.stem.rpartition("-")[2]) for path in partition.glob("part-*.parquet")]
    number = max(taken, default=-1) + 1
    table = next(tables, None)
    while table is not None:
        path = partition / f"part-{number:05}.parquet"
        rows = 0
        with pq.ParquetWriter(path, table.schema, compression="zstd") as writer:
            while table is not None and rows < file_rows:
                writer.write_table(table)
                rows += table.num_rows
                table = next(tables, None)
        yield ExportedFile(path.relative_to(folder).as_posix(), rows, path.stat().st_size, _sha256_of(path))
        number += 1


def write_manifest(folder: Path, summary: ExportSummary) -> None:
    """Write which files belong to the export. New files do not belong to it before that."""
    manifest = {
        "format": EXPORT_FORMAT,
        "schema_version": TELEMETRY_SCHEMA_VERSION,
        "since": summary.since.isoformat(),
        "until": summary.until.isoformat(),
        "attempt_rows": summary.attempt_rows,
        "feedback_rows": summary.feedback_rows,
        "files": [asdict(file) for file in summary.files],
    }
    _put(folder / EXPORT_MANIFEST, manifest)


def read_manifest(folder: Path) -> ExportSummary:
    """Return what an export of this schema version holds.

    Raises:
        ExportError: There is no export, or it is damaged or of another version.
    """
    content = _manifest_or_none(folder)
    if content is None:
        raise ExportError(f"{folder} holds no telemetry export: write one without --append first")
    if content.get("schema_version") != TELEMETRY_SCHEMA_VERSION:
        raise ExportError(
            f"{folder} is an export of schema version {content.get('schema_version')}, this program writes version "
            f"{TELEMETRY_SCHEMA_VERSION}. Keep it, and begin a new one next to it; readers take both together."
        )
    try:
        since, until = (datetime.fromisoformat(str(content[name])) for name in ("since", "until"))
        files = tuple(ExportedFile(**file) for file in content["files"])
    except (KeyError, TypeError, ValueError):
        raise ExportError(f"{folder / EXPORT_MANIFEST} is damaged: write the export again, without --append") from None
    return ExportSummary(folder, since, until, files)


def read_forgotten(folder: Path, summary: ExportSummary) -> list[ForgottenContent]:
    """Return the content that the export tells its readers to leave out.

    Raises:
        ExportError: The list is damaged.
    """
    if all(file.path != FORGOTTEN_LIST for file in summary.files):
        return []
    try:
        entries = json.loads((folder / FORGOTTEN_LIST).read_text(encoding="utf-8"))["accounts"]
        return [
            ForgottenContent(entry["account"], datetime.fromisoformat(entry["until"]), entry["kept"])
            for entry in entries
        ]
    except (KeyError, TypeError, ValueError):
        raise ExportError(f"{folder / FORGOTTEN_LIST} is damaged: write the export again, without --append") from None


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an export, of whatever version, and nothing else."""
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    return names <= {*PARTS, EXPORT_MANIFEST, FORGOTTEN_LIST} and _manifest_or_none(folder) is not None


def _manifest_or_none(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / EXPORT_MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("format") == EXPORT_FORMAT else None


def _put(path: Path, content: object) -> None:
    # In one step: a reader finds the old file or the whole new one.
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
