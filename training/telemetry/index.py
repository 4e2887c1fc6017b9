"""The first pass over an export: finds the drawn attempt of each request, in order of time, and adds up the others.

It reads small columns only, and no prompt, feature or belief. So a million requests take a few hundred megabytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from router.price_table import NUSD_PER_USD
from router.telemetry_schema import STOPPED_OUTCOMES
from training.telemetry.candidate_arrays import list_lengths, whole_column
from training.telemetry.forgotten import NOTHING, Forgotten
from training.telemetry.logged_requests import Floats, Ints, Mask

CANDIDATE_LANE: Final = "candidates.list.element.lane_id"
_COLUMNS: Final = (
    *(
        "request_id",
        "attempt",
        "started_at",
        "account",
        "propensity",
        "outcome",
        "cost_nusd",
        "endpoint",
        "features_version",
        "conversation_id",
        "ttft_ms",
        "total_ms",
        "overhead_ms",
    ),
    *("lane_id", CANDIDATE_LANE),
)
_ANSWERING: Final = ("client_disconnected", "broken_stream", "ok")
"""Outcomes of attempts whose answer reached the caller, in whole or in part; a later one says more."""
_WHOLE: Final = pa.scalar("ok")
_UNSENT: Final = pa.scalar("over_budget")
_EMBEDDINGS: Final = pa.scalar("/v1/embeddings")
_LONG_AGO, _FAR_OFF = np.datetime64("0001-01-01", "us"), np.datetime64("9999-12-31", "us")


@dataclass(frozen=True, slots=True, eq=False)
class RequestIndex:
    """The places of `n` requests in the files, ordered by (started_at, request_id).

    Args:
        request_ids: Request ids, length n.
        started_at: Shape (n,), `datetime64[us]`, UTC, ascending.
        file, row: Shape (n,), number of the file and row in it, of the last attempt on the drawn lane.
        cost_usd: Shape (n,), cost of all attempts; NaN if the cost of one is unknown.
        is_answered: Shape (n,), whether that attempt gave a whole answer.
        is_seen: Shape (n,), whether the caller has seen the answer of that attempt, in whole or in part.
        is_answered_elsewhere: Shape (n,), whether the caller's answer came, in whole or in part, from another lane.
        conversation: Shape (n,), number of the conversation; -1: the request has none.
        has_failed: Shape (n,), whether no lane gave the caller a whole answer although the caller waited for one.
        latency_ms: Shape (n,), from the first call upstream to the end of the last answer; NaN if unknown.
        lane_ids: All lanes that were candidates, in alphabetical order.
        features_version: Newest version of the features; 0 if no request has features.
    """

    request_ids: "pa.Array[Any]"
    started_at: npt.NDArray[np.datetime64]
    file: Ints
    row: Ints
    cost_usd: Floats
    is_answered: Mask
    is_seen: Mask
    is_answered_elsewhere: Mask
    conversation: Ints
    has_failed: Mask
    latency_ms: Floats
    lane_ids: tuple[str, ...]
    features_version: int

    def __len__(self) -> int:
        return len(self.file)


def index_requests(
    files: Sequence[Path], since: datetime | None, until: datetime | None, forgotten: Forgotten
) -> RequestIndex:
    """Return the requests of [since, until) whose lane was drawn.

    If an attempt is in several files, the copy in the first file counts.

    Args:
        files: Files of attempts.
        since, until: Window, aware times; None: no limit.
        forgotten: Erased accounts; their requests are left out.
    """
    tables, lane_ids = [], set[str]()
    window = _instant(since, _LONG_AGO), _instant(until, _FAR_OFF)
    for number, path in enumerate(files):
        table, lanes = _read_file(path, number, window, forgotten)
        tables.append(table)
        lane_ids |= lanes
    table = _without_copies(pa.concat_tables(tables)) if tables else _nothing()
    n_requests, codes = _codes_of(table)
    is_drawn = table["is_drawn"].to_numpy()
    outcome = table["outcome"]
    did_answer = pc.is_in(outcome, value_set=pa.array(_ANSWERING)).to_numpy()
    cost = np.bincount(codes, table["cost_usd"].to_numpy(), minlength=n_requests)
    elsewhere = np.bincount(codes, did_answer & ~is_drawn, minlength=n_requests) > 0
    rank = pc.index_in(outcome, value_set=pa.array(_ANSWERING)).fill_null(-1).to_numpy()
    attempt = table["attempt"].to_numpy()
    answering = _last_of(codes, (attempt, rank), did_answer, n_requests)
    latency_ms = _latency_ms(table, codes, answering, n_requests)
    has_answer = answering >= 0
    kind = np.where(has_answer, rank[answering], -1) if len(table) else np.empty(0, np.intp)
    # An attempt that a budget kept from being sent says nothing about lanes.
    was_sent = np.bincount(codes, pc.not_equal(outcome, _UNSENT).to_numpy(), minlength=n_requests) > 0
    chosen = _last_drawn(codes, attempt, is_drawn)
    drawn, codes = table.take(chosen), codes[chosen]
    order = pc.sort_indices(drawn, [("started_at", "ascending"), ("request_id", "ascending")])
    drawn, codes = drawn.take(order), codes[order.to_numpy()]
    return RequestIndex(
        request_ids=whole_column(drawn, "request_id"),
        started_at=drawn["started_at"].to_numpy(),
        file=drawn["file"].to_numpy(),
        row=drawn["row"].to_numpy(),
        cost_usd=cost[codes],
        is_answered=pc.equal(drawn["outcome"], _WHOLE).to_numpy(),
        is_seen=drawn["is_seen"].to_numpy(),
        is_answered_elsewhere=elsewhere[codes],
        conversation=_conversations(drawn),
        has_failed=(was_sent & ((kind == -1) | (kind == _ANSWERING.index("broken_stream"))))[codes],
        latency_ms=latency_ms[codes],
        lane_ids=tuple(sorted(lane_ids)),
        features_version=pc.max(drawn["features_version"]).as_py() or 0,
    )


def _read_file(
    path: Path,
    number: int,
    window: tuple[np.datetime64, np.datetime64],
    forgotten: Forgotten,
) -> tuple[pa.Table, set[str]]:
    """Return the attempts of one file that lie in the window, and their lanes.

    The table has the columns of `_SCHEMA`, among them `file`, `row`, `cost_usd` and `is_drawn`.
    """
    parquet = pq.ParquetFile(path, read_dictionary=[CANDIDATE_LANE, "lane_id"])
    tables, lane_ids, first_row = [], set[str](), 0
    for group in range(parquet.num_row_groups):
        table = parquet.read_row_group(group, columns=list(_COLUMNS))
        started_at = table["started_at"].cast(pa.timestamp("us")).to_numpy()
        is_wanted = (started_at >= window[0]) & (started_at < window[1])
        is_wanted &= pc.not_equal(table["endpoint"], _EMBEDDINGS).to_numpy()
        is_wanted &= forgotten.levels(table["account"], started_at) > NOTHING
        candidates = whole_column(table, "candidates")
        has_propensity = table["propensity"].to_numpy() > 0  # a null becomes NaN
        was_drawn = candidates.is_valid().to_numpy(zero_copy_only=False) & has_propensity
        is_row = is_wanted & was_drawn
        lane_ids |= _used(candidates.flatten().field("lane_id"), np.repeat(is_row, list_lengths(candidates)))
        lane_ids |= _used(whole_column(table, "lane_id"), is_row)
        columns = {
            "request_id": table["request_id"],
            "attempt": table["attempt"],
            "started_at": started_at,
            "outcome": table["outcome"],
            "features_version": table["features_version"],
            "cost_usd": pc.cast(table["cost_nusd"], pa.float64(), safe=False).to_numpy() / NUSD_PER_USD,
            "is_drawn": was_drawn,
            "conversation": _named(table),
            "is_seen": _is_seen(table),
            "total_ms": np.asarray(table["total_ms"].to_numpy(), np.float64),
            "overhead_ms": np.asarray(table["overhead_ms"].to_numpy(), np.float64),
            "file": np.full(len(table), number, np.intp),
            "row": np.arange(first_row, first_row + len(table), dtype=np.intp),
        }
        tables.append(pa.table(columns, schema=_SCHEMA).filter(pa.array(is_wanted)))
        first_row += len(table)
    return pa.concat_tables(tables) if tables else _nothing(), lane_ids


_FIELDS: Final[list["pa.Field[Any]"]] = [
    pa.field("request_id", pa.string()),
    pa.field("attempt", pa.int32()),
    pa.field("started_at", pa.timestamp("us")),
    pa.field("outcome", pa.string()),
    pa.field("features_version", pa.int32()),
    pa.field("cost_usd", pa.float64()),
    pa.field("is_drawn", pa.bool_()),
    pa.field("conversation", pa.string()),
    pa.field("is_seen", pa.bool_()),
    pa.field("total_ms", pa.float64()),
    pa.field("overhead_ms", pa.float64()),
    pa.field("file", pa.int64()),
    pa.field("row", pa.int64()),
]
_SCHEMA: Final = pa.schema(_FIELDS)


def _named(table: pa.Table) -> Any:
    """Return the names of the attempts' conversations over all accounts; null: it has none."""
    join: Any = pc.binary_join_element_wise  # its stub lacks columns of several chunks next to a plain separator
    return join(table["account"], table["conversation_id"], "\n")


def _is_seen(table: pa.Table) -> Mask:
    """Return whether the caller has seen the answer of each attempt, in whole or in part."""
    is_whole = pc.equal(table["outcome"], _WHOLE).to_numpy()
    is_stopped = pc.is_in(table["outcome"], value_set=pa.array(STOPPED_OUTCOMES)).to_numpy()
    return np.asarray(is_whole | (is_stopped & pc.is_valid(table["ttft_ms"]).to_numpy()), np.bool_)


def _conversations(table: pa.Table) -> Ints:
    """Return the number of each attempt's conversation; -1: it has none."""
    encoded = whole_column(table, "conversation").dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(), np.intp)


def _nothing() -> pa.Table:
    return _SCHEMA.empty_table()


def _used(lanes: Any, is_wanted: Mask) -> set[str]:
    """Return the lanes that a dictionary-encoded Arrow array has in these rows, without a string for each row."""
    is_there = np.bincount(lanes.indices.to_numpy()[is_wanted], minlength=len(lanes.dictionary)) > 0
    return {lane_id for lane_id, is_used in zip(lanes.dictionary.to_pylist(), is_there, strict=True) if is_used}


def _without_copies(table: pa.Table) -> pa.Table:
    """Return the first row of each (request_id, attempt), in order."""
    _, codes = _codes_of(table)
    keys = codes * 2**20 + table["attempt"].to_numpy()
    firsts = np.unique(keys, return_index=True)[1]
    return table if len(firsts) == len(table) else table.take(np.sort(firsts))


def _codes_of(table: pa.Table) -> tuple[int, Ints]:
    """Return the number of requests, and for each attempt the number of its request, 0, 1, 2..."""
    encoded = whole_column(table, "request_id").dictionary_encode()
    return len(encoded.dictionary), encoded.indices.to_numpy().astype(np.intp)


def _last_drawn(codes: Ints, attempt: npt.NDArray[np.int32], is_drawn: Mask) -> Ints:
    """Return the row of the last drawn attempt of each request that has one.

    A retry on the drawn lane counts as drawn.
    """
    rows = np.flatnonzero(is_drawn)
    order = rows[np.lexsort((attempt[rows], codes[rows]))]
    is_last = np.append(codes[order][1:] != codes[order][:-1], True) if len(order) else np.empty(0, np.bool_)
    return np.asarray(order[is_last], np.intp)


def _last_of(codes: Ints, keys: Sequence[npt.NDArray[Any]], is_wanted: Mask, n_requests: int) -> Ints:
    """Return the wanted row of each request with the largest keys (the last key first), shape (n_requests,); or -1."""
    rows = np.flatnonzero(is_wanted)
    order = rows[np.lexsort((*(key[rows] for key in keys), codes[rows]))]
    last = np.full(n_requests, -1, np.intp)
    last[codes[order]] = order  # of equal requests, the last assignment stands
    return last


def _latency_ms(table: pa.Table, codes: Ints, answering: Ints, n_requests: int) -> Floats:
    """Return what the caller waited, shape (n_requests,): from the first call upstream to the end of the last one.

    An answer's `overhead_ms` is the time from the request's arrival until the answering lane was called. So it tells
    how long the lanes before it took, also if they were called at the same time. Where it is unknown, lanes were called
    one after the other.
    """
    total, overhead = table["total_ms"].to_numpy(), table["overhead_ms"].to_numpy()
    if not len(table):
        return np.empty(0)
    waited = np.bincount(codes, np.nan_to_num(total), minlength=n_requests)
    waited[np.bincount(codes, np.isfinite(total), minlength=n_requests) == 0] = np.nan
    first = _last_of(codes, (-table["attempt"].to_numpy(),), np.ones(len(codes), np.bool_), n_requests)
    ended = np.where(answering >= 0, overhead[answering] + total[answering], np.nan)
    begun = np.nan_to_num(overhead[first])
    is_only = np.bincount(codes, minlength=n_requests) == 1
    return np.where(np.isfinite(ended) & ~is_only, np.maximum(ended - begun, 0), waited)


def _instant(moment: datetime | None, otherwise: np.datetime64) -> np.datetime64:
    if moment is None:
        return otherwise
    return np.datetime64(round(moment.timestamp() * 1e6), "us")
