"""Reads telemetry exports as logged requests: one row per request whose lane was drawn, over one fixed list of lanes.

There are two passes. The first one reads small columns and finds the rows (`index`). The second one reads whole rows,
part by part. A `LogReader` can be sent to another process, which then reads its own part of the files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from router.reward import REWARD_RULES, RewardRule
from training.telemetry.candidate_arrays import (
    NUMBERS,
    SHIFTS,
    candidate_arrays,
    lane_columns,
    list_lengths,
    whole_column,
)
from training.telemetry.folder import files_of, find_exports
from training.telemetry.forgotten import FEATURES, FULL, Forgotten, Levels, read_forgotten
from training.telemetry.index import CANDIDATE_LANE, RequestIndex, index_requests
from training.telemetry.lane_book import LaneBook, LoggedLane
from training.telemetry.lanes import read_lane_book, vendor_models
from training.telemetry.logged_requests import Float32s, Floats, Ints, LoggedRequests
from training.telemetry.rewards import rewards_of
from training.telemetry.signals import RequestSignals, signals_of

ROWS_PER_PART: Final = 50_000
_COLUMNS: Final = (
    *(
        "account",
        "conversation_id",
        "router_version",
        "policy",
        "prompt_text",
        "features",
        "features_version",
        "prompt_tokens",
    ),
    *("completion_tokens", "candidates", "lane_id", "propensity", "willingness_to_pay_usd", "quality_bar"),
    *("max_output_tokens", "quality_of_best", "price_snapshot_id", "reasoning_tokens"),
)
_LANE: Final = pa.dictionary(pa.int32(), pa.string())
_CANDIDATE: Final = pa.struct(
    [
        pa.field("lane_id", _LANE),
        *(pa.field(name, pa.float32()) for name in (*NUMBERS, *SHIFTS)),
        pa.field("excluded_by", pa.string()),
        pa.field("probability", pa.float64()),
        pa.field("demotion", pa.int32()),  # the fallback tier
    ]
)
_TYPES: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(
        (*("account", "conversation_id", "router_version", "policy", "prompt_text", "price_snapshot_id"),),
        pa.string(),
    ),
    "features": pa.list_(pa.float32()),
    "lane_id": _LANE,
    "candidates": pa.list_(_CANDIDATE),
}
# If an older export lacks a column or a part of a candidate, its values are unknown.
_READ: Final = [
    *(name for name in _COLUMNS if name != "candidates"),
    *(f"candidates.list.element.{_CANDIDATE.field(part).name}" for part in range(_CANDIDATE.num_fields)),
]
_SCHEMA: Final = pa.schema([pa.field(name, _TYPES.get(name, pa.float64())) for name in _COLUMNS])


@dataclass(frozen=True, slots=True, eq=False)
class LogReader:
    """The requests of an export, indexed but not yet read; `read` returns any slice of them.

    Args:
        files: Files of attempts; the index refers to them by number.
        index: Places of the requests in the files.
        trained_names: Trained names of the lanes of `index`.
        lane_book: Notes about the lanes.
        reward, reward_std: Shape (n,), reward of the answer that the caller got and its standard deviation; NaN if the
            answer was not judged.
        n_features: Length of a feature vector.
        forgotten: Accounts of which texts or features may not be read.
        signals: All signals of the requests, also of metrics without a rule; a part of a reader has none.
    """

    files: tuple[Path, ...]
    index: RequestIndex
    trained_names: tuple[str | None, ...]
    lane_book: LaneBook
    reward: Floats
    reward_std: Floats
    n_features: int
    forgotten: Forgotten
    signals: RequestSignals

    def __len__(self) -> int:
        return len(self.index)

    @property
    def lane_ids(self) -> tuple[str, ...]:
        """Lane ids, in the order of the columns of every part."""
        return self.index.lane_ids

    def part(self, start: int, stop: int) -> "LogReader":
        """Return a reader of requests start..stop-1 only, small enough to be sent to another process."""
        part = slice(start, min(stop, len(self)))
        index = self.index
        only = replace(
            index,
            request_ids=pa.concat_arrays([index.request_ids[part]]) if len(self) else index.request_ids,
            started_at=index.started_at[part],
            file=index.file[part],
            row=index.row[part],
            cost_usd=index.cost_usd[part],
            is_answered=index.is_answered[part],
            is_seen=index.is_seen[part],
            is_answered_elsewhere=index.is_answered_elsewhere[part],
            conversation=index.conversation[part],
            has_failed=index.has_failed[part],
            latency_ms=index.latency_ms[part],
        )
        return replace(
            self,
            index=only,
            reward=self.reward[part],
            reward_std=self.reward_std[part],
            signals=RequestSignals.none(),
        )

    def read(self, start: int, stop: int) -> LoggedRequests:
        """Return requests start..stop-1 in order of time."""
        part = slice(start, min(stop, len(self)))
        index = self.index
        table = _read_rows(self.files, index.file[part], index.row[part])
        column_of_lane = {lane_id: column for column, lane_id in enumerate(index.lane_ids)}
        candidates = candidate_arrays(whole_column(table, "candidates"), column_of_lane)
        kept = self.forgotten.levels(table["account"], index.started_at[part])
        request_ids, conversation_ids = _texts(index.request_ids[part]), _texts(table["conversation_id"])
        is_elsewhere, has_failed = index.is_answered_elsewhere[part], index.has_failed[part]
        reward, reward_std = self.reward[part], self.reward_std[part]
        return LoggedRequests(
            lane_ids=index.lane_ids,
            trained_names=self.trained_names,
            request_ids=request_ids,
            accounts=_texts(table["account"]),
            conversation_ids=np.where(conversation_ids == "", request_ids, conversation_ids),
            started_at=index.started_at[part],
            router_versions=_texts(table["router_version"]),
            policies=_texts(table["policy"]),
            prompts=_prompts(table, kept),
            features=_features(table, index.features_version, self.n_features, kept),
            features_version=index.features_version,
            prompt_tokens=_floats(table["prompt_tokens"]),
            is_eligible=candidates.is_eligible,
            quality=candidates.numbers["quality"],
            quality_std=candidates.numbers["quality_std"],
            completion_tokens=candidates.numbers["expected_completion_tokens"],
            expected_cost_usd=candidates.numbers["expected_cost_usd"],
            expected_latency_ms=candidates.numbers["expected_latency_ms"],
            probability=candidates.probability,
            chosen=lane_columns(whole_column(table, "lane_id"), column_of_lane),
            propensity=_floats(table["propensity"]),
            willingness_to_pay_usd=_floats(table["willingness_to_pay_usd"]),
            quality_bar=_floats(table["quality_bar"]),
            reward=np.where(is_elsewhere, np.nan, reward),
            reward_std=np.where(is_elsewhere, np.nan, reward_std),
            cost_usd=index.cost_usd[part],
            latency_ms=index.latency_ms[part],
            answer_tokens=_floats(table["completion_tokens"]),
            is_answered=index.is_answered[part],
            belief_shift=candidates.belief_shift,
            lane_shift=candidates.lane_shift,
            max_output_tokens=_floats(table["max_output_tokens"]),
            quality_of_best=_floats(table["quality_of_best"]),
            price_snapshots=_texts(table["price_snapshot_id"]),
            fallback_tier=candidates.fallback_tier,
            reasoning_tokens=_floats(table["reasoning_tokens"]),
            lane_book=self.lane_book,
            is_seen=index.is_seen[part],
            caller_reward=np.where(has_failed, 0.0, reward),
            caller_reward_std=np.where(has_failed, 0.0, reward_std),
            has_failed=has_failed,
        )


def open_logs(
    folder: Path,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    rules: Mapping[str, RewardRule] = REWARD_RULES,
    corrects_errors: bool = False,
) -> LogReader:
    """Index the requests of an export, or of several exports in one folder, which may overlap.

    - A request becomes a row if its lane was drawn. Its last attempt on that lane counts.
    - The costs of all its attempts are added up.
    - Feedback is joined, however late it came. The last value of each giver for each metric counts.
    - Feedback on the answer of a fallback says nothing about the drawn lane. `reward` is NaN then. It counts in
      `caller_reward`, because the caller got that answer after that draw.
    - `latency_ms` is what the caller waited, all attempts together.
    - Embeddings are left out.
    - What accounts erased or took back, by the time of the newest export, is left out of all exports.

    Args:
        folder: Folder that `llmdeal export` wrote, of schema version 1 or newer.
        since, until: Window of the requests' start, aware times; None: no limit.
        rules: Metric -> rule that turns its feedback into a reward.
        corrects_errors: Whether rewards are without the errors of judgements, as learning needs them, and may lie
            outside 0..1; see `router.reward.combine_rewards`.

    Raises:
        TelemetryError: There is no export, or one is damaged or newer than this program.
    """
    exports = find_exports(folder)
    files = files_of(exports, "attempts")
    forgotten = read_forgotten(files_of(exports, "forgotten"))
    index = index_requests(files, since, until, forgotten)
    signals = signals_of(index, files_of(exports, "feedback"))
    reward, reward_std = rewards_of(index, signals, rules, corrects_errors=corrects_errors)
    book = _lane_book(files_of(exports, "lanes"), files, index)
    names = tuple(book.latest[lane_id].trained_name if lane_id in book.latest else None for lane_id in index.lane_ids)
    return LogReader(files, index, names, book, reward, reward_std, _n_features(files, index), forgotten, signals)


def read_logs(
    folder: Path,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    rules: Mapping[str, RewardRule] = REWARD_RULES,
) -> LoggedRequests:
    """Return all requests at once; arguments and errors are those of `open_logs`."""
    reader = open_logs(folder, since, until, rules=rules)
    parts = _parts(reader, ROWS_PER_PART)
    logs = next(parts, None)
    return reader.read(0, 0) if logs is None else _joined(logs, parts, len(reader))


def iterate_logs(
    folder: Path,
    rows_per_part: int = ROWS_PER_PART,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    rules: Mapping[str, RewardRule] = REWARD_RULES,
) -> Iterator[LoggedRequests]:
    """Yield the requests in order of time, at most `rows_per_part` at once, all over the same lanes.

    The other arguments and the errors are those of `open_logs`.
    """
    yield from _parts(open_logs(folder, since, until, rules=rules), rows_per_part)


def _parts(reader: LogReader, rows_per_part: int) -> Iterator[LoggedRequests]:
    for start in range(0, len(reader), rows_per_part):
        yield reader.read(start, start + rows_per_part)


def _joined(first: LoggedRequests, others: Iterator[LoggedRequests], n_requests: int) -> LoggedRequests:
    """Join parts, one at a time, into arrays of the whole length.

    All parts in memory next to the joined arrays would take twice the memory.
    """
    if len(first) == n_requests:
        return first
    whole: dict[str, Any] = {field.name: getattr(first, field.name) for field in fields(first)}
    names = [name for name, values in whole.items() if isinstance(values, np.ndarray)]
    for name in names:
        part = whole[name]
        whole[name] = np.empty((n_requests, *part.shape[1:]), part.dtype)
        whole[name][: len(first)] = part
    start = len(first)
    for logs in others:
        for name in names:
            part = getattr(logs, name)
            if part.dtype.itemsize > whole[name].dtype.itemsize:  # the part has longer texts
                whole[name] = whole[name].astype(part.dtype)
            whole[name][start : start + len(logs)] = part
        start += len(logs)
    return LoggedRequests(**whole)


def _lane_book(lanes: tuple[Path, ...], attempts: tuple[Path, ...], index: RequestIndex) -> LaneBook:
    """Return the notes about lanes; a lane without a note gets the model name that its attempts have."""
    book = read_lane_book(lanes)
    unnoted = set(index.lane_ids) - set(book.latest)
    if not unnoted:
        return book
    named = {lane_id: LoggedLane(vendor) for lane_id, vendor in vendor_models(attempts).items() if lane_id in unnoted}
    return replace(book, latest={**named, **book.latest})


def _read_rows(files: tuple[Path, ...], file: Ints, row: Ints) -> pa.Table:
    """Return the given rows of the files, in the given order, reading only the row groups that hold them."""
    tables, places = [_SCHEMA.empty_table()], [np.empty(0, np.intp)]
    for number in np.unique(file):
        place = np.flatnonzero(file == number)
        parquet = pq.ParquetFile(files[number], read_dictionary=[CANDIDATE_LANE, "lane_id"])
        sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        group_of_row = np.searchsorted(starts, row[place], side="right") - 1
        # One group at a time: pyarrow cannot read the dictionaries of several groups into one list column.
        for group in np.unique(group_of_row):
            is_here = group_of_row == group
            table = _with_all_columns(parquet.read_row_group(int(group), columns=_READ)).cast(_SCHEMA, safe=False)
            tables.append(table.take(row[place[is_here]] - starts[group]))
            places.append(place[is_here])
    return pa.concat_tables(tables).unify_dictionaries().take(np.argsort(np.concatenate(places)))


def _with_all_columns(table: pa.Table) -> pa.Table:
    for name in set(_COLUMNS) - set(table.column_names):
        table = table.append_column(_SCHEMA.field(name), pa.nulls(len(table), _SCHEMA.field(name).type))
    return table.select(_COLUMNS)


def _prompts(table: pa.Table, kept: Levels) -> npt.NDArray[np.object_]:
    """Return the texts that may be read, shape (n,); None in place of other texts."""
    prompts = np.full(len(table), None, np.object_)
    may_be_read = kept >= FULL
    prompts[may_be_read] = table["prompt_text"].to_numpy()[may_be_read]
    return prompts


def _features(table: pa.Table, version: int, n_features: int, kept: Levels) -> Float32s:
    """Return the feature vectors of this version, shape (n, n_features).

    Requests without a vector that may be read get a row of NaN.
    """
    vectors = whole_column(table, "features")
    has_one = vectors.is_valid().to_numpy(zero_copy_only=False) & (kept >= FEATURES)
    has_one &= (_floats(table["features_version"]) == version) & (list_lengths(vectors) == n_features)
    features = np.full((len(table), n_features), np.nan, np.float32)
    features[has_one] = vectors.filter(pa.array(has_one)).flatten().to_numpy().reshape(int(has_one.sum()), n_features)
    return features


def _n_features(files: tuple[Path, ...], index: RequestIndex) -> int:
    """Return the length of a feature vector of the index's features version; 0 if there is none."""
    for path in files if index.features_version else ():
        parquet = pq.ParquetFile(path)
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=["features", "features_version"])
            is_of_version = pc.equal(table["features_version"], pa.scalar(index.features_version, pa.int32()))
            longest = pc.max(pc.list_value_length(table["features"].filter(is_of_version))).as_py()
            if longest is not None:
                return int(longest)
    return 0


def _floats(column: "pa.ChunkedArray[Any]") -> Floats:
    return np.asarray(column.to_numpy(), np.float64)


def _texts(column: Any) -> npt.NDArray[np.str_]:
    """Return the texts of an Arrow array; an unknown text becomes empty."""
    return np.asarray(pc.fill_null(column, "").to_numpy(zero_copy_only=False), np.str_)
