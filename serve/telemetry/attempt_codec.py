"""Turns an `AttemptRow` into the values of one row of the attempt table, and back. Pure; no SQL here."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Final

import msgspec
import numpy as np
from sqlalchemy import RowMapping

from router.telemetry_schema import AttemptRow
from serve.instant import from_microseconds, to_microseconds
from serve.storage.tables import ATTEMPT_TABLE
from serve.telemetry.candidate_codec import FLOAT32, lane_list_id_of, pack_candidates, unpack_candidates

StoredValue = str | int | float | bool | bytes | None
StoredRow = tuple[StoredValue, ...]

_ENCODED: Final = ("started_at_us", "tags", "features", "lane_list_id", "candidates", "prompt_text", "answer_text")
_PLAIN: Final = tuple(column.name for column in ATTEMPT_TABLE.columns if column.name not in _ENCODED)
STORED_ORDER: Final = (*_PLAIN, *_ENCODED)
"""Names of the columns in the order of a `StoredRow`."""

_plain_values_of = attrgetter(*_PLAIN)
_json: Final = msgspec.json.Encoder()


def encode_attempt(row: AttemptRow) -> StoredRow:
    """Return the values to store, in `STORED_ORDER`, as types that every database driver takes.

    Raises:
        ValueError: The columns of the candidates differ in length, or a text holds a lone surrogate.
        TypeError: `started_at` has no time zone.
    """
    values: StoredRow = _plain_values_of(row)
    features, candidates, prompt_text, answer_text = row.features, row.candidates, row.prompt_text, row.answer_text
    return (
        *values,
        to_microseconds(row.started_at),
        _json.encode(row.tags).decode() if row.tags else "[]",
        None if features is None else features.astype(FLOAT32, copy=False).tobytes(),
        None if candidates is None else lane_list_id_of(candidates.lane_ids),
        None if candidates is None else pack_candidates(candidates),
        None if prompt_text is None else prompt_text.encode(),
        None if answer_text is None else answer_text.encode(),
    )


def decode_attempt(stored: RowMapping, lane_lists: Mapping[str, tuple[str, ...]]) -> AttemptRow:
    """Return the row that was stored.

    Args:
        stored: Every column of the attempt table, by name.
        lane_lists: Lane list id -> its lanes, for at least the one that `stored` names.
    """
    features, candidates = stored["features"], stored["candidates"]
    prompt_text, answer_text = stored["prompt_text"], stored["answer_text"]
    return AttemptRow(
        **{name: stored[name] for name in _PLAIN},
        started_at=from_microseconds(stored["started_at_us"]),
        tags=tuple(stored["tags"]),
        features=None if features is None else np.frombuffer(features, dtype=FLOAT32),
        candidates=None if candidates is None else unpack_candidates(candidates, lane_lists[stored["lane_list_id"]]),
        prompt_text=None if prompt_text is None else prompt_text.decode(),
        answer_text=None if answer_text is None else answer_text.decode(),
    )
