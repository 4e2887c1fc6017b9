"""Packs the candidates of a decision into a small blob, and unpacks it. Lane ids are stored once for each list."""

import hashlib
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np

from router.telemetry_schema import CandidateTable, Float32s, Floats

# Little-endian on every machine, so that a database file can be moved to another one.
FLOAT32: Final = np.dtype("<f4")
FLOAT64: Final = np.dtype("<f8")
INT32: Final = np.dtype("<i4")


class _PackedCandidates(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Layout of the blob: a MessagePack array of columns, numbers as raw little-endian floats."""

    quality: bytes
    quality_std: bytes
    expected_completion_tokens: bytes
    expected_cost_usd: bytes
    expected_latency_ms: bytes
    excluded_by: dict[int, str]
    probability: bytes
    quality_shift: bytes | None = None
    account_shift: bytes | None = None
    fallback_tier: bytes | None = None


_packer: Final = msgspec.msgpack.Encoder()
_unpacker: Final = msgspec.msgpack.Decoder(_PackedCandidates)


@lru_cache(maxsize=64)
def lane_list_id_of(lane_ids: tuple[str, ...]) -> str:
    """Return the content hash that names a stored list of lanes: 32 hex digits of SHA-256."""
    return hashlib.sha256("\n".join(lane_ids).encode()).hexdigest()[:32]


def pack_candidates(table: CandidateTable) -> bytes:
    """Return the numbers and exclusions of `table` as a blob.

    Raises:
        ValueError: The columns differ in length, or an exclusion names a lane that does not exist.
    """
    n_lanes = len(table.lane_ids)
    packed = _PackedCandidates(
        table.quality.astype(FLOAT32, copy=False).tobytes(),
        table.quality_std.astype(FLOAT32, copy=False).tobytes(),
        table.expected_completion_tokens.astype(FLOAT32, copy=False).tobytes(),
        table.expected_cost_usd.astype(FLOAT64, copy=False).tobytes(),
        table.expected_latency_ms.astype(FLOAT32, copy=False).tobytes(),
        table.excluded_by,  # type: ignore[arg-type]  # any mapping of str enums packs as a dict of their values
        table.probability.astype(FLOAT64, copy=False).tobytes(),
        _packed(table.quality_shift),
        _packed(table.account_shift),
        None if table.fallback_tier is None else table.fallback_tier.astype(INT32, copy=False).tobytes(),
    )
    float32s = (packed.quality, packed.quality_std, packed.expected_completion_tokens, packed.expected_latency_ms)
    float64s = (packed.expected_cost_usd, packed.probability)
    if {*map(len, float32s)} != {4 * n_lanes} or {*map(len, float64s)} != {8 * n_lanes}:
        raise ValueError(f"every candidate column must have {n_lanes} entries, one per lane")
    if table.excluded_by and not 0 <= min(table.excluded_by) <= max(table.excluded_by) < n_lanes:
        raise ValueError(f"excluded_by may name lanes 0 to {n_lanes - 1}, got {sorted(table.excluded_by)!r}")
    return _packer.encode(packed)


def unpack_candidates(blob: bytes, lane_ids: tuple[str, ...]) -> CandidateTable:
    """Return the candidates that were packed; arrays are float32 except cost and probability, which are float64."""
    packed = _unpacker.decode(blob)
    return CandidateTable(
        lane_ids=lane_ids,
        quality=np.frombuffer(packed.quality, FLOAT32),
        quality_std=np.frombuffer(packed.quality_std, FLOAT32),
        expected_completion_tokens=np.frombuffer(packed.expected_completion_tokens, FLOAT32),
        expected_cost_usd=np.frombuffer(packed.expected_cost_usd, FLOAT64),
        expected_latency_ms=np.frombuffer(packed.expected_latency_ms, FLOAT32),
        excluded_by=packed.excluded_by,
        probability=np.frombuffer(packed.probability, FLOAT64),
        quality_shift=_unpacked(packed.quality_shift),
        account_shift=_unpacked(packed.account_shift),
        fallback_tier=None if packed.fallback_tier is None else np.frombuffer(packed.fallback_tier, INT32),
    )


def _packed(shifts: Floats | None) -> bytes | None:
    return None if shifts is None else shifts.astype(FLOAT32, copy=False).tobytes()


def _unpacked(shifts: bytes | None) -> Float32s | None:
    return None if shifts is None else np.frombuffer(shifts, FLOAT32)
