"""Removes from an export what accounts had deleted, or limited, since it was written."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from router.telemetry_schema import ForgottenContent
from serve.telemetry.content_rules import KEPT_ORDER, ContentRules
from serve.telemetry.export.files import ExportedFile, write_again

if TYPE_CHECKING:
    import pyarrow as pa

Mask = npt.NDArray[np.bool_]
_TEXTS: Final = ("prompt_text", "answer_text")
_FEATURES: Final = ("features", "features_version")
_NOTHING, _FEATURES_LEVEL, _FULL = (KEPT_ORDER.index(kept) for kept in ("nothing", "features", "full"))


class ExportPurge:
    """Replaces files by files without removed content. The old ones stay until the manifest names the new ones.

    Args:
        folder: Folder of the export.
        rules: Rules of what an export may hold.
    """

    def __init__(self, folder: Path, rules: ContentRules) -> None:
        self._folder = folder
        self._rules = rules
        self._levels: dict[str, int] = {}
        self.replaced: list[Path] = []
        """Files to delete once the manifest no longer names them."""

    def purge(self, files: Sequence[ExportedFile]) -> tuple[ExportedFile, ...]:
        """Return the files of the export; those that held too much are replaced."""
        if not self._rules:
            return tuple(files)
        # Attempts first: they name the account of the request that feedback belongs to.
        in_order = sorted(files, key=lambda file: file.path)
        return tuple(purged for file in in_order for purged in self._purged(file))

    def _purged(self, file: ExportedFile) -> Iterator[ExportedFile]:
        part = file.path.partition("/")[0]
        table = None
        if part == "attempts":
            table = self._attempts_without(file)
        elif part == "feedback":
            table = self._feedback_without(file)
        if table is None:
            yield file
            return
        self.replaced.append(self._folder / file.path)
        yield from write_again(self._folder, file, table)

    def _attempts_without(self, file: ExportedFile) -> "pa.Table | None":
        """Return what a file of attempts may hold; None: all of it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = self._read(file, ["request_id", "account", "started_at"])
        meant = np.flatnonzero(pc.is_in(columns["account"], value_set=pa.array(self._rules.accounts)).to_numpy())
        levels = np.full(len(columns), _FULL)
        requests: list[dict[str, Any]] = columns.take(meant).to_pylist()
        for row, request in zip(meant.tolist(), requests, strict=True):
            levels[row] = KEPT_ORDER.index(self._rules.kept(request["account"], request["started_at"]))
            if levels[row] < _FULL:
                self._levels[request["request_id"]] = int(levels[row])
        if (levels == _FULL).all():
            return None
        whole = self._read(file, None)
        table = _without(_without(whole, _TEXTS, levels >= _FULL), _FEATURES, levels >= _FEATURES_LEVEL)
        return _if_other(table, whole, levels > _NOTHING)

    def _feedback_without(self, file: ExportedFile) -> "pa.Table | None":
        """Return what a file of feedback may hold; None: all of it."""
        if not self._levels:
            return None
        whole = self._read(file, None)
        request_ids: list[Any] = whole["request_id"].to_pylist()
        levels = np.array([self._levels.get(request_id, _FULL) for request_id in request_ids], np.intp)
        return _if_other(_without(whole, ("comment",), levels >= _FULL), whole, levels > _NOTHING)

    def _read(self, file: ExportedFile, columns: list[str] | None) -> "pa.Table":
        import pyarrow.parquet as pq

        return pq.read_table(self._folder / file.path, columns=columns, partitioning=None)


def fresh_entries(
    entries: Sequence[ForgottenContent], earlier: Sequence[ForgottenContent], end: datetime
) -> list[ForgottenContent]:
    """Return the entries that an export does not follow yet.

    Args:
        entries: Present entries.
        earlier: Entries when the export was last added to; the rows that were added then follow them.
        end: First instant after the export.
    """
    return [entry for entry in entries if not any(_covers(each, entry, end) for each in earlier)]


def _covers(earlier: ForgottenContent, entry: ForgottenContent, end: datetime) -> bool:
    keeps_no_more = KEPT_ORDER.index(earlier.kept) <= KEPT_ORDER.index(entry.kept)
    return earlier.account == entry.account and keeps_no_more and earlier.until >= min(entry.until, end)


def _without(table: "pa.Table", names: Sequence[str], is_kept: Mask) -> "pa.Table":
    """Return the table, with null in these columns for rows that do not keep them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in names:
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        kept: Any = pc.if_else(pa.array(is_kept), table[name].combine_chunks(), pa.scalar(None, field.type))
        table = table.set_column(place, field, kept)
    return table


def _if_other(table: "pa.Table", whole: "pa.Table", is_kept: Mask) -> "pa.Table | None":
    """Return the rows that are kept; None: nothing has changed."""
    import pyarrow as pa

    has_more = any(whole[name].null_count < table[name].null_count for name in table.column_names)
    return table.filter(pa.array(is_kept)) if has_more or not is_kept.all() else None
