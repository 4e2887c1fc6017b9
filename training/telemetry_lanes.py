"""What exports say of lanes."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq


def trained_names(paths: Iterable[Path]) -> dict[str, str | None]:
    """Return each lane's name among trained models, as the gateway last noted it; lanes that are not noted are absent.

    Args:
        paths: Files of the part `lanes`.
    """
    noted = [
        (lane["noted_at"], lane["lane_id"], lane["trained_name"])
        for path in paths
        for lane in pq.read_table(path, columns=["lane_id", "trained_name", "noted_at"], partitioning=None).to_pylist()
    ]
    return {lane_id: trained_name for _, lane_id, trained_name in sorted(noted, key=lambda lane: lane[0])}
