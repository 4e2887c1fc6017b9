"""Joins feedback to the requests of an index, however late it came and whichever export holds it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from router.reward import RewardRule, combine_rewards, keep_last
from training.telemetry.index import RequestIndex
from training.telemetry.logged_requests import Floats

_COLUMNS: Final = ("request_id", "metric_name", "value", "given_by", "received_at")


def rewards_of(index: RequestIndex, files: Sequence[Path], rules: Mapping[str, RewardRule]) -> tuple[Floats, Floats]:
    """Return each request's reward and its standard deviation, shape (n,).

    Both are NaN if the drawn lane's answer was not judged.

    Args:
        index: The requests.
        files: Files of feedback, the newest export first.
        rules: Metric -> rule that turns its values into a reward.
    """
    n_requests = len(index)
    tables = [
        _on_indexed_requests(pq.read_table(path, columns=list(_COLUMNS), partitioning=None), index) for path in files
    ]
    if not tables or n_requests == 0:
        return np.full(n_requests, np.nan), np.full(n_requests, np.nan)
    table = pa.concat_tables(tables)
    request_index = table["request_index"].to_numpy().astype(np.intp)
    metric_names, given_by = (table[name].to_numpy(zero_copy_only=False) for name in ("metric_name", "given_by"))
    # Exports that overlap hold copies of the same feedback; only one of the copies is kept.
    standing = keep_last(
        request_index, metric_names, given_by, table["received_at"].cast(pa.timestamp("us")).to_numpy()
    )
    values = table["value"].to_numpy()[standing]
    reward, reward_std = combine_rewards(request_index[standing], metric_names[standing], values, n_requests, rules)
    reward[index.is_answered_elsewhere] = reward_std[index.is_answered_elsewhere] = np.nan
    return reward, reward_std


def _on_indexed_requests(feedback: pa.Table, index: RequestIndex) -> pa.Table:
    """Return the feedback on requests of the index, with `request_index`, the request's number, in place of its id."""
    request_index = pc.index_in(feedback["request_id"], value_set=index.request_ids)
    return (
        feedback.drop_columns(["request_id"])
        .append_column("request_index", request_index)
        .filter(pc.is_valid(request_index))
    )
