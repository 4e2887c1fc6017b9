"""Reads feedback as the signals of requests: late feedback, copies and replaced values are already dealt with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from router.check_faults import CHECK_RULES
from router.reward import keep_last
from training.telemetry.index import RequestIndex
from training.telemetry.logged_requests import Floats, Ints

_COLUMNS: Final = ("request_id", "metric_name", "value", "given_by", "received_at")


@dataclass(frozen=True, slots=True, eq=False)
class RequestSignals:
    """The `k` signals that count: of each giver, request and metric the last one.

    Args:
        request: Shape (k,), number of the request in the index.
        metric_names: Shape (k,), metrics.
        values: Shape (k,), values of the metrics.
        n_answers: Shape (k,), number of answers of a conversation that the same judgement was given to, at least 1.
    """

    request: Ints
    metric_names: npt.NDArray[np.object_]
    values: Floats
    n_answers: Floats

    @classmethod
    def none(cls) -> "RequestSignals":
        """Return no signals."""
        return cls(np.empty(0, np.intp), np.empty(0, np.object_), np.empty(0), np.empty(0))

    def rows(self, kept: npt.NDArray[Any]) -> "RequestSignals":
        """Return some of the signals, by a mask or places."""
        return RequestSignals(self.request[kept], self.metric_names[kept], self.values[kept], self.n_answers[kept])


def signals_of(index: RequestIndex, files: Sequence[Path]) -> RequestSignals:
    """Return the signals of the requests of an index, in order of the requests.

    Args:
        index: The requests.
        files: Files of feedback, the newest export first.
    """
    tables = [
        _on_indexed_requests(pq.read_table(path, columns=list(_COLUMNS), partitioning=None), index) for path in files
    ]
    if not tables or len(index) == 0:
        return RequestSignals.none()
    table = pa.concat_tables(tables)
    request = table["request_index"].to_numpy().astype(np.intp)
    metric_names, given_by = (table[name].to_numpy(zero_copy_only=False) for name in ("metric_name", "given_by"))
    received_at = table["received_at"].cast(pa.timestamp("us")).to_numpy()
    # Exports that overlap hold copies of the same feedback; only one of the copies is kept.
    standing = keep_last(request, metric_names, given_by, received_at)
    standing = standing[np.argsort(request[standing], kind="stable")]
    shared = _n_answers(
        index.conversation[request[standing]], metric_names[standing], given_by[standing], received_at[standing]
    )
    return RequestSignals(request[standing], metric_names[standing], table["value"].to_numpy()[standing], shared)


def _n_answers(
    conversation: Ints,
    metric_names: npt.NDArray[np.object_],
    given_by: npt.NDArray[np.object_],
    received_at: npt.NDArray[np.datetime64],
) -> Floats:
    """Return how many answers each signal is about: those of one conversation that got it at the same microsecond.

    Checks are about one answer each.
    """
    n = np.ones(len(conversation))
    names = {name: code for code, name in enumerate(dict.fromkeys(metric_names.tolist()))}
    is_check = np.array([name in CHECK_RULES for name in metric_names.tolist()], np.bool_)
    judged = np.flatnonzero(~is_check & (conversation >= 0))
    if not len(judged):
        return n
    givers = {name: code for code, name in enumerate(dict.fromkeys(given_by.tolist()))}
    keys = np.stack(
        [
            conversation[judged],
            np.array([names[name] for name in metric_names[judged].tolist()]),
            np.array([givers[name] for name in given_by[judged].tolist()]),
            received_at[judged].astype("datetime64[us]").astype(np.int64),
        ]
    )
    _, place, counts = np.unique(keys, axis=1, return_inverse=True, return_counts=True)
    n[judged] = counts[place.reshape(-1)]
    return n


def _on_indexed_requests(feedback: pa.Table, index: RequestIndex) -> pa.Table:
    """Return the feedback on requests of the index, with `request_index`, the request's number, in place of its id."""
    request_index = pc.index_in(feedback["request_id"], value_set=index.request_ids)
    return (
        feedback.drop_columns(["request_id"])
        .append_column("request_index", request_index)
        .filter(pc.is_valid(request_index))
    )
