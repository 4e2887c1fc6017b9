"""Writes stored telemetry as Parquet, in the schema of `router.telemetry_schema`, for training and for anybody's own analysis."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import Engine

from router.telemetry_schema import EXPORT_FORMAT, EXPORT_MANIFEST, TELEMETRY_SCHEMA_VERSION, AttemptRow, FeedbackRow
from serve.errors import ExportError
from serve.storage.attempt_repository import AttemptRepository
from serve.storage.feedback_repository import FeedbackRepository

if TYPE_CHECKING:
    import pyarrow as pa

_OWN_NAMES: Final = {"attempts", "feedback", EXPORT_MANIFEST}
_CHUNK_ROWS: Final = 2_000
_FILE_ROWS: Final = 200_000

_Row = TypeVar("_Row", AttemptRow, FeedbackRow)


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One Parquet file: its path inside the export, with forward slashes, its rows, its size and the SHA-256 of its bytes."""

    path: str
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was exported."""

    out_dir: Path
    since: datetime
    until: datetime
    attempt_rows: int
    feedback_rows: int
    files: tuple[ExportedFile, ...]


def export_telemetry(
    engine: Engine, since: datetime, until: datetime, out_dir: Path, *, chunk_rows: int = _CHUNK_ROWS, file_rows: int = _FILE_ROWS
) -> ExportSummary:
    """Write attempts started, and feedback received, in [since, until) to `out_dir`, and return what was written.

    The folder holds `attempts/date=YYYY-MM-DD/part-NNNNN.parquet`, `feedback/date=…/…` (dates in UTC) and `export.json` with the
    schema version, the window, and every file's rows and SHA-256. Rows are in the repositories' stable order, so the same rows
    give the same files. It appears at once when everything is written, and takes the place of an earlier export.

    An attempt is stored when it has ended: choose an `until` that lies the longest request in the past, or the next window
    will not have the attempts that were still running. Feedback belongs to the window in which it came, whenever its request was.

    Args:
        engine: The database, at the version of this program.
        since: First instant, aware.
        until: First instant after the window, aware.
        out_dir: New, empty, or an earlier export.
        chunk_rows: Rows held in memory at once.
        file_rows: Rows after which a new file is begun.

    Raises:
        ExportError: The window is empty or without time zone, or `out_dir` holds something else or cannot be written.
    """
    if since.tzinfo is None or until.tzinfo is None:
        raise ExportError("since and until need a time zone")
    if since >= until:
        raise ExportError(f"since must lie before until, got {since.isoformat()} and {until.isoformat()}")
    from serve.telemetry_arrow import attempts_to_arrow, feedback_to_arrow

    attempts = _rows_by_chunk(AttemptRepository(engine).read(since, until, chunk_rows=chunk_rows), lambda row: row.started_at)
    feedback = _rows_by_chunk(FeedbackRepository(engine).read(since, until, chunk_rows=chunk_rows), lambda row: row.received_at)
    try:
        with _folder_that_appears_at_once(out_dir) as folder:
            attempt_files = _write_partitions(folder, "attempts", attempts, attempts_to_arrow, file_rows)
            feedback_files = _write_partitions(folder, "feedback", feedback, feedback_to_arrow, file_rows)
            attempt_rows, feedback_rows = (sum(file.rows for file in files) for files in (attempt_files, feedback_files))
            summary = ExportSummary(out_dir, since, until, attempt_rows, feedback_rows, (*attempt_files, *feedback_files))
            _write_manifest(folder, summary)
    except OSError as error:
        raise ExportError(f"cannot write the export to {out_dir}: {error.strerror or error}") from error
    return summary


def _rows_by_chunk(chunks: Iterable[list[_Row]], instant_of: Callable[[_Row], datetime]) -> Iterator[tuple[str, list[_Row]]]:
    """Yield (UTC date, rows of that date), splitting a chunk that crosses midnight."""
    for chunk in chunks:
        for date, rows in groupby(chunk, lambda row: instant_of(row).date().isoformat()):
            yield date, list(rows)


def _write_partitions(
    folder: Path,
    name: str,
    dated_rows: Iterator[tuple[str, list[_Row]]],
    to_arrow: "Callable[[list[_Row]], pa.Table]",
    file_rows: int,
) -> list[ExportedFile]:
    (folder / name).mkdir()
    files: list[ExportedFile] = []
    for date, same_date in groupby(dated_rows, lambda dated: dated[0]):
        partition = folder / name / f"date={date}"
        partition.mkdir()
        tables = (to_arrow(rows) for _, rows in same_date)
        files.extend(_write_files(folder, partition, tables, file_rows))
    return files


def _write_files(folder: Path, partition: Path, tables: "Iterator[pa.Table]", file_rows: int) -> Iterator[ExportedFile]:
    import pyarrow.parquet as pq

    table = next(tables, None)
    number = 0
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


def _write_manifest(folder: Path, summary: ExportSummary) -> None:
    manifest = {
        "format": EXPORT_FORMAT,
        "schema_version": TELEMETRY_SCHEMA_VERSION,
        "since": summary.since.isoformat(),
        "until": summary.until.isoformat(),
        "attempt_rows": summary.attempt_rows,
        "feedback_rows": summary.feedback_rows,
        "files": [asdict(file) for file in summary.files],
    }
    (folder / EXPORT_MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _folder_that_appears_at_once(out_dir: Path) -> Iterator[Path]:
    """Give a temporary folder beside `out_dir`; rename it to `out_dir` when all went well, remove it when not."""
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
    names = {path.name for path in out_dir.iterdir()}
    if names and not (names <= _OWN_NAMES and _is_export(out_dir / EXPORT_MANIFEST)):
        raise ExportError(f"{out_dir} is not empty and not an earlier export: give a folder that is new or empty")


def _is_export(manifest: Path) -> bool:
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == EXPORT_FORMAT
