"""Writes stored telemetry as Parquet, in the schema of `router.telemetry_schema`, for training and for analysis."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from serve.errors import ExportError
from serve.telemetry.content_rules import ContentRules
from serve.telemetry.export.files import ExportSummary, read_forgotten, read_manifest, write_manifest
from serve.telemetry.export.folder import folder_that_appears_at_once, has_export, locked_folder, remove_strays
from serve.telemetry.export.purge import ExportPurge, fresh_entries
from serve.telemetry.export.writing import CHUNK_ROWS, FILE_ROWS, ExportWriting

# A row is stored when its attempt ends, or when a database that was away is back. Both take far less than a day.
_OVERLAP: Final = timedelta(days=1)


def export_telemetry(
    engine: Engine,
    since: datetime,
    until: datetime,
    out_dir: Path,
    *,
    now: datetime | None = None,
    chunk_rows: int = CHUNK_ROWS,
    file_rows: int = FILE_ROWS,
) -> ExportSummary:
    """Write attempts started, and feedback received, in [since, until) to `out_dir`, and return what was written.

    The folder holds:

    - `attempts/date=YYYY-MM-DD/part-NNNNN.parquet` and `feedback/date=…/…`, with dates in UTC,
    - `lanes/part-NNNNN.parquet`,
    - `forgotten.json`, if there are accounts whose earlier content readers must leave out,
    - `export.json`, with the schema version, the window, and every file's rows and SHA-256.

    Rows are in the repositories' stable order, so the same rows give the same files. The folder appears when everything
    is written, and replaces an earlier export. Of accounts that limit what is logged of them, or had it deleted, only
    what they allow is written.

    An attempt is stored when it has ended. Choose an `until` that lies as far in the past as the longest request takes,
    or the next window will lack the attempts that were still running. Feedback belongs to the window in which it came,
    whenever its request was.

    Args:
        engine: The database, at the version of this program.
        since: First instant, aware.
        until: First instant after the window, aware.
        out_dir: Folder that is new, empty, or an earlier export.
        now: Present time, up to which the limits of accounts hold; None: `until`.
        chunk_rows: Number of rows held in memory at once.
        file_rows: Number of rows after which a new file begins.

    Raises:
        ExportError: The window is empty or without time zone, or `out_dir` holds something else or cannot be written.
    """
    _check_window(since, until)
    writing = ExportWriting(engine, chunk_rows, file_rows, now or until)
    try:
        with folder_that_appears_at_once(out_dir) as folder:
            files = writing.write(folder, since, until)
            summary = ExportSummary(out_dir, since, until, files)
            write_manifest(folder, summary)
    except OSError as error:
        raise ExportError(f"cannot write the export to {out_dir}: {error.strerror or error}") from error
    return summary


def append_telemetry(
    engine: Engine,
    since: datetime | None,
    until: datetime,
    out_dir: Path,
    *,
    now: datetime | None = None,
    chunk_rows: int = CHUNK_ROWS,
    file_rows: int = FILE_ROWS,
) -> ExportSummary:
    """Add new rows to an export, in new files next to the present ones, and return what it holds then.

    Rows from the last day of the export on are read again, and those that it holds already are left out. So no row is
    missed and none comes twice, however often this is called. New files count from the moment in which the manifest
    names them, all at once; readers follow the manifest. Files with content that accounts had deleted or limited since
    then are replaced by files without it. Other arguments and errors are those of `export_telemetry`.

    Args:
        engine: The database.
        since: First instant of a new export, if there is none yet; None: the export must exist.
        until: First instant after the window, aware; if the export reaches as far, nothing is added.
        out_dir: Folder of the export.
        now: Present time, up to which the limits of accounts hold; None: `until`.
        chunk_rows: Number of rows held in memory at once.
        file_rows: Number of rows after which a new file begins.
    """
    if not has_export(out_dir):
        if since is None:
            raise ExportError(f"there is no export at {out_dir} yet: say with --since where it begins")
        return export_telemetry(engine, since, until, out_dir, now=now, chunk_rows=chunk_rows, file_rows=file_rows)
    if until.tzinfo is None:
        raise ExportError("until needs a time zone")
    writing = ExportWriting(engine, chunk_rows, file_rows, now or until)
    try:
        with locked_folder(out_dir):
            earlier = read_manifest(out_dir)
            remove_strays(out_dir, (file.path for file in earlier.files))
            first = max(earlier.since, earlier.until - _OVERLAP)
            fresh = fresh_entries(writing.rules.entries, read_forgotten(out_dir, earlier), earlier.until)
            purge = ExportPurge(out_dir, ContentRules(fresh))
            files = purge.purge(earlier.files)
            files = writing.write(out_dir, first, until, files) if until > first else files
            summary = ExportSummary(out_dir, earlier.since, max(earlier.until, until), files)
            write_manifest(out_dir, summary)
            for path in purge.replaced:
                path.unlink()
    except OSError as error:
        raise ExportError(f"cannot add to the export in {out_dir}: {error.strerror or error}") from error
    return summary


def _check_window(since: datetime, until: datetime) -> None:
    if since.tzinfo is None or until.tzinfo is None:
        raise ExportError("since and until need a time zone")
    if since >= until:
        raise ExportError(f"since must lie before until, got {since.isoformat()} and {until.isoformat()}")
