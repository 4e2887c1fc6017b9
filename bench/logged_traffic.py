"""Writes invented logs as a telemetry export, column by column with the gateway's own schema.

A million requests take a minute.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from router.features import FEATURES_VERSION
from router.telemetry_schema import EXPORT_FORMAT, EXPORT_MANIFEST, TELEMETRY_SCHEMA_VERSION
from serve.telemetry.export.arrow import ATTEMPT_SCHEMA, FEEDBACK_SCHEMA

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

_ROW_GROUP = 2_000
_DAY_US = 86_400_000_000
_DEFAULTS: dict[str, object] = {
    "attempt": 0,
    "tags": [],
    "endpoint": "/v1/chat/completions",
    "is_streaming": False,
    "features_version": FEATURES_VERSION,
    "n_turns": 1,
    "provider": "acme",
    "reason": "best_quality_per_dollar",
    "policy": "best_value",
    "price_snapshot_id": "made-up",
    "usage_is_estimated": False,
    "status": 200,
    "outcome": "ok",
    "finish_reason": "stop",
}


@dataclass(frozen=True, slots=True, eq=False)
class LoggedTraffic:
    """`n` requests between `m` lanes, one for each model.

    Args:
        names: Vendors' names of the models.
        router_version: Version of the bundle that decided.
        started_at: Shape (n,); microseconds since 1970, ascending.
        conversation: Shape (n,); number of the conversation.
        prompts: Texts of the `n` prompts; None: the text was not kept.
        features: Shape (n, n_features); features of the prompt.
        prompt_tokens: Shape (n,); length of the prompt.
        quality, completion_tokens, cost_usd: Shape (n, m); beliefs of the bundle.
        probability: Shape (n, m); chance of each lane.
        chosen: Shape (n,); column of the chosen lane.
        reward: Shape (n,), 0..1; NaN: no feedback.
        answer_tokens: Shape (n,); length of the answer.
        paid_usd: Shape (n,); cost of the answer.
        account: Shape (n,); account of each request; None: the default account.
        metric: Metric of the rewards.
        checks: Name of a check -> its result of each answer, shape (n,); NaN: the answer was not checked.
        outcome: Shape (n,); end of each attempt; None: all answered.
    """

    names: tuple[str, ...]
    router_version: str
    started_at: npt.NDArray[np.int64]
    conversation: Ints
    prompts: Sequence[str | None]
    features: Float32s
    prompt_tokens: Ints
    quality: Float32s
    completion_tokens: Float32s
    cost_usd: Floats
    probability: Floats
    chosen: Ints
    reward: Floats
    answer_tokens: Floats
    paid_usd: Floats
    account: npt.NDArray[np.str_] | None = None
    metric: str = "score"
    checks: Mapping[str, Floats] = field(default_factory=dict)
    outcome: npt.NDArray[np.str_] | None = None

    def rows(self, chosen: Ints) -> "LoggedTraffic":
        """Return the requests of these rows."""
        columns: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        taken: dict[str, Any] = {
            name: value[chosen] for name, value in columns.items() if isinstance(value, np.ndarray)
        }
        checks = {name: values[chosen] for name, values in self.checks.items()}
        return replace(self, prompts=[self.prompts[row] for row in chosen], checks=checks, **taken)


def write_export(folder: Path, parts: Iterator[LoggedTraffic]) -> Path:
    """Write parts as one export; return its folder.

    The parts are in order of time. Each gets one file of attempts and one of feedback.
    """
    files, n_attempts, n_feedback, last = [], 0, 0, 0
    for number, part in enumerate(parts):
        day = np.datetime64(int(part.started_at[0]) // _DAY_US, "D")
        for name, table in (("attempts", attempts_of(part, n_attempts)), ("feedback", feedback_of(part, n_attempts))):
            path = folder / name / f"date={day}" / f"part-{number:05}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path, compression="zstd", row_group_size=_ROW_GROUP)
            files.append(_entry(folder, path, table.num_rows))
            n_feedback += table.num_rows if name == "feedback" else 0
        n_attempts, last = n_attempts + len(part.chosen), int(part.started_at[-1])
    manifest = {
        "format": EXPORT_FORMAT,
        "schema_version": TELEMETRY_SCHEMA_VERSION,
        "since": "1970-01-01T00:00:00+00:00",
        "until": f"{np.datetime64(last + 1, 'us')}+00:00",
        "attempt_rows": n_attempts,
        "feedback_rows": n_feedback,
        "files": files,
    }
    (folder / EXPORT_MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return folder


def attempts_of(part: LoggedTraffic, first: int) -> pa.Table:
    """Return the table of attempts; requests are numbered from `first`."""
    n = len(part.chosen)
    names = [part.names[lane] for lane in part.chosen]
    own: dict[str, Any] = {
        "request_id": _request_ids(first, n),
        "started_at": pa.array(part.started_at, pa.timestamp("us", tz="UTC")),
        "account": ["default"] * n if part.account is None else part.account.tolist(),
        "conversation_id": [f"c{number}" for number in part.conversation],
        "features": _lists(pa.array(part.features.ravel(), pa.float32()), n, part.features.shape[1]),
        "prompt_text": list(part.prompts),
        "prompt_characters": part.prompt_tokens * 4,
        "candidates": _candidates(part),
        "lane_id": [_lane(name) for name in names],
        "upstream_model": names,
        "vendor_model": names,
        "propensity": part.probability[np.arange(n), part.chosen],
        "router_version": [part.router_version] * n,
        "prompt_tokens": part.prompt_tokens,
        "completion_tokens": part.answer_tokens.astype(np.int64),
        "cost_nusd": np.rint(part.paid_usd * 1e9).astype(np.int64),
        "total_ms": 300 + 10 * part.answer_tokens,
        "ttft_ms": np.full(n, 300.0),
        "outcome": ["ok"] * n if part.outcome is None else part.outcome.tolist(),
    }
    columns = []
    for column in ATTEMPT_SCHEMA:
        values = own.get(
            column.name, [_DEFAULTS.get(column.name)] * n if column.name in _DEFAULTS else pa.nulls(n, column.type)
        )
        columns.append(values if isinstance(values, pa.Array) else pa.array(values, column.type))
    return pa.Table.from_arrays(columns, schema=ATTEMPT_SCHEMA)


def feedback_of(part: LoggedTraffic, first: int) -> pa.Table:
    """Return the table of feedback: judgements and results of checks, a minute later."""
    given = {part.metric: part.reward, **part.checks}
    places = {name: np.flatnonzero(~np.isnan(values)) for name, values in given.items()}
    rows = np.concatenate(list(places.values()))
    names = np.repeat(list(places), [len(place) for place in places.values()]).tolist()
    ids = _request_ids(first, len(part.reward))
    own: dict[str, Any] = {
        "request_id": [ids[row] for row in rows],
        "metric_name": names,
        "value": np.concatenate([given[name][place] for name, place in places.items()]),
        "given_by": ["made-up" if name == part.metric else f"check:{name}" for name in names],
        "received_at": pa.array(part.started_at[rows] + 60_000_000, pa.timestamp("us", tz="UTC")),
    }
    columns = [own.get(column.name, pa.nulls(len(rows), column.type)) for column in FEEDBACK_SCHEMA]
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, column.type)
        for values, column in zip(columns, FEEDBACK_SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=FEEDBACK_SCHEMA)


def _candidates(part: LoggedTraffic) -> "pa.Array[Any]":
    n, m = part.quality.shape
    kind = ATTEMPT_SCHEMA.field("candidates").type.value_type
    numbers = {
        "quality": part.quality,
        "quality_std": np.full((n, m), 0.1),
        "expected_completion_tokens": part.completion_tokens,
        "expected_cost_usd": part.cost_usd,
        "expected_latency_ms": 300 + 10 * part.completion_tokens,
        "probability": part.probability,
    }
    children = []
    for child in kind:
        if child.name == "lane_id":
            lanes = pa.array([_lane(name) for name in part.names])
            children.append(lanes.take(np.tile(np.arange(m), n)))
        elif child.name in numbers:
            children.append(pa.array(numbers[child.name].ravel(), child.type))
        else:
            children.append(pa.nulls(n * m, child.type))
    return _lists(pa.StructArray.from_arrays(children, fields=list(kind)), n, m)


def _lists(values: "pa.Array[Any]", n: int, width: int) -> "pa.Array[Any]":
    return pa.ListArray.from_arrays(pa.array(np.arange(n + 1) * width, pa.int32()), values)


def _request_ids(first: int, n: int) -> list[str]:
    return [f"req-{number:09}" for number in range(first, first + n)]


def _lane(name: str) -> str:
    return f"acme/{name}"


def _entry(folder: Path, path: Path, rows: int) -> dict[str, object]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "path": path.relative_to(folder).as_posix(),
        "rows": rows,
        "size_bytes": path.stat().st_size,
        "sha256": digest,
    }
