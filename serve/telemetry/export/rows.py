"""Reads which rows an export holds already, so that none is added twice."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from router.telemetry_schema import AttemptRow, FeedbackRow, LaneRow
from serve.telemetry.export.files import ExportedFile

if TYPE_CHECKING:
    import pyarrow as pa

_ATTEMPT_NAME: Final = ("request_id", "attempt")
_FEEDBACK_NAME: Final = ("request_id", "metric_name", "given_by", "received_at")


class ExportedRows:
    """The rows of an export from one day on, by their unique names.

    Args:
        folder: Folder of the export.
        files: Files of the export.
        since: First instant; rows of earlier days are not read.
    """

    def __init__(self, folder: Path, files: Sequence[ExportedFile], since: datetime) -> None:
        self._folder = folder
        self._files = files
        self._first_date = since.date().isoformat()

    def new_attempts(self, chunks: Iterable[list[AttemptRow]]) -> Iterator[list[AttemptRow]]:
        """Yield attempts without those that the export holds."""
        names = self._names("attempts", _ATTEMPT_NAME)
        for chunk in chunks:
            yield [row for row in chunk if (row.request_id, row.attempt) not in names] if names else chunk

    def new_feedback(self, chunks: Iterable[list[FeedbackRow]]) -> Iterator[list[FeedbackRow]]:
        """Yield feedback without that which the export holds."""
        names = self._names("feedback", _FEEDBACK_NAME)
        for chunk in chunks:
            if names:
                chunk = [r for r in chunk if (r.request_id, r.metric_name, r.given_by, r.received_at) not in names]
            yield chunk

    def lanes(self) -> list[LaneRow]:
        """Return the lanes that the export holds."""
        return [LaneRow(**values) for path in self._paths("lanes/") for values in _table(path, None).to_pylist()]

    def _names(self, part: str, columns: Sequence[str]) -> set[tuple[object, ...]]:
        names: set[tuple[object, ...]] = set()
        for path in self._paths(f"{part}/"):
            if path.parent.name.removeprefix("date=") >= self._first_date:
                table = _table(path, list(columns))
                names.update(zip(*(table[column].to_pylist() for column in columns), strict=True))
        return names

    def _paths(self, part: str) -> list[Path]:
        return [self._folder / file.path for file in self._files if file.path.startswith(part)]


def _table(path: Path, columns: list[str] | None) -> "pa.Table":
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=columns, partitioning=None)
