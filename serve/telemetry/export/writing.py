"""Writes the parts of one export: chooses its rows, applies the limits of accounts, and writes the files."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Engine

from router.telemetry_schema import FORGOTTEN_LIST, AttemptRow, FeedbackRow, LaneRow
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.content_rules import ContentRules
from serve.telemetry.export.files import ExportedFile, write_json, write_partitions, write_table
from serve.telemetry.export.rows import ExportedRows
from serve.telemetry.feedback_repository import FeedbackRepository
from serve.telemetry.forgotten_repository import ForgottenRepository
from serve.telemetry.priced_lane_repository import PricedLaneRepository

CHUNK_ROWS: Final = 2_000
FILE_ROWS: Final = 200_000

_Row = TypeVar("_Row", AttemptRow, FeedbackRow)


class ExportWriting:
    """Writes the stored rows of one window to one folder; used once.

    Args:
        engine: The database, at the version of this program.
        chunk_rows: Number of rows held in memory at once.
        file_rows: Number of rows after which a new file begins.
        now: Time up to which the present limits of accounts hold.
    """

    def __init__(self, engine: Engine, chunk_rows: int, file_rows: int, now: datetime) -> None:
        self._attempts = AttemptRepository(engine)
        self._feedback = FeedbackRepository(engine)
        self._lanes = PricedLaneRepository(engine)
        self.rules = ContentRules(ForgottenRepository(engine).entries(now))
        """Rules of what the export may hold."""
        self._chunk_rows = chunk_rows
        self._file_rows = file_rows
        self._snapshots: set[str] = set()

    def write(
        self, folder: Path, since: datetime, until: datetime, earlier: tuple[ExportedFile, ...] = ()
    ) -> tuple[ExportedFile, ...]:
        """Write the rows of the window that the earlier files do not hold; return all files of the export."""
        from serve.telemetry.export.arrow import attempts_to_arrow, feedback_to_arrow

        exported = ExportedRows(folder, earlier, since)
        attempts = exported.new_attempts(self._attempts.read(since, until, chunk_rows=self._chunk_rows))
        feedback = exported.new_feedback(self._feedback.read(since, until, chunk_rows=self._chunk_rows))
        dated_attempts = _dated(self._allowed_attempts(attempts), lambda row: row.started_at)
        dated_feedback = _dated(self._allowed_feedback(feedback), lambda row: row.received_at)
        fresh = [
            *write_partitions(folder, "attempts", dated_attempts, attempts_to_arrow, self._file_rows),
            *write_partitions(folder, "feedback", dated_feedback, feedback_to_arrow, self._file_rows),
            *self._write_lanes(folder, exported),
            *self._write_forgotten(folder),
        ]
        replaced = (
            (FORGOTTEN_LIST, "lanes/") if any(file.path.startswith("lanes/") for file in fresh) else (FORGOTTEN_LIST,)
        )
        kept = [file for file in earlier if not file.path.startswith(replaced)]
        return tuple(sorted((*kept, *fresh), key=lambda file: file.path))

    def _allowed_attempts(self, chunks: Iterable[list[AttemptRow]]) -> Iterator[list[AttemptRow]]:
        for chunk in chunks:
            rows = self.rules.attempts(chunk)
            self._snapshots |= {row.price_snapshot_id for row in rows if row.price_snapshot_id is not None}
            yield rows

    def _allowed_feedback(self, chunks: Iterable[list[FeedbackRow]]) -> Iterator[list[FeedbackRow]]:
        for chunk in chunks:
            if self.rules:
                yield self.rules.feedback(chunk, self._attempts.origins_of({row.request_id for row in chunk}))
            else:
                yield chunk

    def _write_lanes(self, folder: Path, exported: ExportedRows) -> Iterator[ExportedFile]:
        from serve.telemetry.export.arrow import lanes_to_arrow

        if not self._snapshots:
            return
        lanes = {_name(row): row for row in exported.lanes()}
        lanes |= {_name(row): row for row in self._lanes.of_snapshots(self._snapshots)}
        if lanes:
            yield write_table(folder, "lanes", lanes_to_arrow([lanes[name] for name in sorted(lanes)]))

    def _write_forgotten(self, folder: Path) -> Iterator[ExportedFile]:
        if not self.rules:
            return
        entries = [{**asdict(entry), "until": entry.until.isoformat()} for entry in self.rules.entries]
        yield write_json(folder, FORGOTTEN_LIST, {"accounts": entries}, len(entries))


def _name(row: LaneRow) -> tuple[str, str]:
    return row.price_snapshot_id, row.lane_id


def _dated(chunks: Iterable[list[_Row]], instant_of: Callable[[_Row], datetime]) -> Iterator[tuple[str, list[_Row]]]:
    """Yield (UTC date, rows of that date), splitting a chunk that crosses midnight."""
    for chunk in chunks:
        for date, rows in groupby(chunk, lambda row: instant_of(row).date().isoformat()):
            yield date, list(rows)
