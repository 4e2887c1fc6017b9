"""Measures the time and memory of reading a large telemetry export.

It writes an invented export and reads it, whole and in parts. Run
`python -m bench.read_logs --requests 1000000 --lanes 20`.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from router.features import FEATURE_NAMES, FEATURES_VERSION
from router.telemetry_schema import EXPORT_FORMAT, EXPORT_MANIFEST, TELEMETRY_SCHEMA_VERSION
from serve.telemetry.export.arrow import ATTEMPT_SCHEMA, FEEDBACK_SCHEMA
from training.telemetry.reader import iterate_logs, read_logs

_DAYS: Final = 10
_CHUNK: Final = 20_000
_ROW_GROUP: Final = 2_000  # as in the gateway's exports
_BEGAN: Final = datetime(2026, 11, 1, tzinfo=UTC)
_MODES: Final = ("whole", "parts")


def main() -> None:
    """Write, read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--lanes", type=int, default=20)
    parser.add_argument("--characters", type=int, default=400, help="Length of each prompt; 0: no texts.")
    parser.add_argument("--read", choices=_MODES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="Folder to keep the export in; by default a temporary one.")
    options = parser.parse_args()
    if options.read:
        _read(options.folder, options.read)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        size_mb = write_export(folder, options.requests, options.lanes, options.characters) / 1e6
        print(
            f"{options.requests:,} requests x {options.lanes} lanes, prompts of {options.characters} characters: "
            f"{size_mb:,.0f} MB"
        )
        for mode in _MODES:  # one process each, because the peak memory is that of the whole process
            command = [sys.executable, "-m", "bench.read_logs", "--read", mode, "--folder", str(folder)]
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"})


def _read(folder: Path, mode: str) -> None:
    pa.set_cpu_count(1)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    began = time.perf_counter()
    parts = [read_logs(folder)] if mode == "whole" else iterate_logs(folder)
    n_requests = rewards = 0
    for logs in parts:
        n_requests += len(logs)
        rewards += int(np.isfinite(logs.reward).sum())
    took_s = time.perf_counter() - began
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"{mode:>5}: {n_requests:,} requests, {rewards:,} with a reward, in {took_s:.1f} s on one core, "
        f"at most {most_mb:,.0f} MB ({before_mb:,.0f} MB before)"
    )


def write_export(folder: Path, n_requests: int, n_lanes: int, n_characters: int) -> int:
    """Write an invented export over ten days, with feedback on every tenth request; return its size in bytes."""
    rng = np.random.default_rng(0)
    files = []
    for day in range(_DAYS):
        first, last = (n_requests * edge // _DAYS for edge in (day, day + 1))
        date = (_BEGAN + timedelta(days=day)).date().isoformat()
        for part, make in (("attempts", _attempts), ("feedback", _feedback)):
            path = folder / part / f"date={date}" / "part-00000.parquet"
            path.parent.mkdir(parents=True)
            with pq.ParquetWriter(
                path, ATTEMPT_SCHEMA if part == "attempts" else FEEDBACK_SCHEMA, compression="zstd"
            ) as writer:
                for start in range(first, last, _CHUNK):
                    numbers = np.arange(start, min(start + _CHUNK, last))
                    began_at = _instants(day, numbers - first, last - first)
                    writer.write_table(make(rng, numbers, began_at, n_lanes, n_characters), row_group_size=_ROW_GROUP)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            files.append(
                {"path": path.relative_to(folder).as_posix(), "sha256": sha256, "size_bytes": path.stat().st_size}
            )
    manifest = {
        "format": EXPORT_FORMAT,
        "schema_version": TELEMETRY_SCHEMA_VERSION,
        "until": "2026-11-11T00:00:00+00:00",
        "files": files,
    }
    (folder / EXPORT_MANIFEST).write_text(json.dumps(manifest))
    return sum(int(str(file["size_bytes"])) for file in files)


def _attempts(rng: np.random.Generator, numbers: Any, began_at: Any, n_lanes: int, n_characters: int) -> pa.Table:
    n = len(numbers)
    lane_ids = [f"provider-{lane % 5}/model-{lane}" for lane in range(n_lanes)]
    probability = rng.dirichlet(np.full(n_lanes, 0.2), n)
    probability[:, 0] += 1e-6
    probability /= probability.sum(axis=1, keepdims=True)
    chosen = (probability.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=n_lanes - 1)
    features = rng.random((n, len(FEATURE_NAMES)), np.float32)
    columns: dict[str, Any] = {
        "request_id": _request_ids(numbers),
        "attempt": np.zeros(n, np.int32),
        "started_at": began_at,
        "account": np.full(n, "default"),
        "conversation_id": [f"{number // 3:024x}" for number in numbers.tolist()],
        "tags": _lists(pa.array([], pa.string()), n),
        "endpoint": np.full(n, "/v1/chat/completions"),
        "is_streaming": np.zeros(n, np.bool_),
        "features": _lists(features.ravel(), n),
        "features_version": np.full(n, FEATURES_VERSION, np.int32),
        "prompt_text": [rng.bytes(n_characters // 2).hex() for _ in range(n)] if n_characters else None,
        "prompt_characters": np.full(n, n_characters),
        "n_turns": np.ones(n, np.int32),
        "candidates": _candidates(rng, lane_ids, probability),
        "lane_id": pa.array(lane_ids).take(pa.array(chosen)),
        "provider": np.full(n, "provider"),
        "upstream_model": np.full(n, "model"),
        "vendor_model": np.full(n, "vendor/model"),
        "propensity": probability[np.arange(n), chosen],
        "reason": np.full(n, "explored"),
        "policy": np.full(n, "softmax"),
        "router_version": np.full(n, "base-1"),
        "prompt_tokens": rng.integers(1, 5_000, n),
        "completion_tokens": rng.integers(1, 2_000, n),
        "usage_is_estimated": np.zeros(n, np.bool_),
        "cost_nusd": rng.integers(1, 10_000_000, n),
        "total_ms": rng.random(n) * 5_000,
        "outcome": np.full(n, "ok"),
    }
    return _table(columns, ATTEMPT_SCHEMA, n)


def _candidates(rng: np.random.Generator, lane_ids: list[str], probability: Any) -> Any:
    n = len(probability)
    (struct,) = (field.type.value_type for field in ATTEMPT_SCHEMA if field.name == "candidates")
    columns = {
        "lane_id": np.tile(lane_ids, n),
        "excluded_by": pa.array(np.full(n * len(lane_ids), "region"), mask=rng.random(n * len(lane_ids)) < 0.9),
        "probability": probability.ravel(),
    }
    children = [
        pa.array(columns[field.name] if field.name in columns else rng.random(n * len(lane_ids)), field.type)
        for field in struct
    ]
    return _lists(pa.StructArray.from_arrays(children, fields=list(struct)), n)


def _feedback(rng: np.random.Generator, numbers: Any, began_at: Any, _n_lanes: int, _n_characters: int) -> pa.Table:
    n = len(numbers[::10])
    columns = {
        "request_id": _request_ids(numbers[::10]),
        "metric_name": np.full(n, "thumbs"),
        "value": rng.integers(0, 2, n).astype(np.float64),
        "given_by": np.full(n, "app"),
        "received_at": began_at[::10],
    }
    return _table(columns, FEEDBACK_SCHEMA, n)


def _table(columns: dict[str, Any], schema: pa.Schema, n: int) -> pa.Table:
    arrays = [
        pa.nulls(n, field.type) if columns.get(field.name) is None else _array(columns[field.name], field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _array(values: Any, arrow_type: pa.DataType) -> Any:
    return values.cast(arrow_type) if isinstance(values, pa.Array) else pa.array(values, arrow_type)


def _lists(values: Any, n: int) -> Any:
    offsets: Any = pa.array(np.linspace(0, len(values), n + 1).round().astype(np.int32))
    return pa.ListArray.from_arrays(offsets, values if isinstance(values, pa.Array) else pa.array(values))


def _request_ids(numbers: Any) -> list[str]:
    return [f"req_{hashlib.sha256(number.to_bytes(8)).hexdigest()[:24]}" for number in numbers.tolist()]


def _instants(day: int, offsets: Any, n_of_day: int) -> Any:
    began = np.datetime64(_BEGAN.replace(tzinfo=None), "us") + np.timedelta64(day, "D")
    return began + (offsets * (86_400_000_000 // n_of_day)).astype("timedelta64[us]")


if __name__ == "__main__":
    main()
