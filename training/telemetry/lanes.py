"""Reads what exports say about lanes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from training.telemetry.lane_book import LaneBook, LoggedLane


def read_lane_book(paths: Iterable[Path]) -> LaneBook:
    """Return what the gateway noted about each lane. If it noted a lane twice, the last note counts.

    Args:
        paths: Files of the part `lanes`.
    """
    noted = [row for path in paths for row in pq.read_table(path, partitioning=None).to_pylist()]
    rows = sorted(noted, key=lambda row: row["noted_at"])
    return LaneBook(
        {row["lane_id"]: _lane(row) for row in rows},
        {(row["price_snapshot_id"], row["lane_id"]): _lane(row) for row in rows},
    )


def vendor_models(paths: Iterable[Path]) -> dict[str, str]:
    """Return lane id -> vendor's name of its model, as the attempts say.

    Args:
        paths: Files of attempts; a file takes precedence over those after it.
    """
    vendor_model_of_lane: dict[str, str] = {}
    for path in paths:
        table = pq.read_table(path, columns=["lane_id", "vendor_model"], partitioning=None)
        for pair in table.group_by(["lane_id", "vendor_model"]).aggregate([]).to_pylist():
            vendor_model_of_lane.setdefault(str(pair["lane_id"]), str(pair["vendor_model"]))
    return vendor_model_of_lane


def _lane(row: dict[str, Any]) -> LoggedLane:
    return LoggedLane(
        vendor_model=row["vendor_model"],
        trained_name=row["trained_name"],
        ability=row["ability"],
        ability_std=row["ability_std"],
        input_usd_per_mtok=row["input_usd_per_mtok"],
        output_usd_per_mtok=row["output_usd_per_mtok"],
        request_usd=row["request_usd"],
        effort=row.get("effort"),  # from version 4
    )
