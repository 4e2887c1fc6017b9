"""A sample of an account's prompts from a time span, as numbers: features, and the difficulty that was predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Engine, Row, select

from router.arrays import Floats
from router.features import FEATURE_NAMES, FEATURES_VERSION
from router.log_odds import logit
from serve.storage.tables import ATTEMPT_TABLE, LANE_LIST_TABLE
from serve.telemetry.candidate_codec import FLOAT32, unpack_candidates

_ATTEMPT: Final = ATTEMPT_TABLE.c
_MOMENTS: Final = 100
_ROWS_A_MOMENT: Final = 30
_CHARACTERS_PER_TOKEN: Final = 4
EASE: Final = "ease"
"""Mean predicted log odds of a good answer over the lanes."""
NUMBER_NAMES: Final = (*FEATURE_NAMES, "n_turns", "prompt_tokens", EASE)


@dataclass(frozen=True, slots=True, eq=False)
class PromptSample:
    """`n` prompts, at most one of each conversation.

    Args:
        numbers: Numbers of the prompts, shape (n, len(NUMBER_NAMES)); NaN where a number was not stored.
        lane_logits: Lanes -> predicted log odds of prompts that were decided among exactly these, shape (k, n_lanes).
        router_version: Version of the bundle that predicted `EASE` and `lane_logits`; others are left out.
    """

    numbers: Floats
    lane_logits: dict[tuple[str, ...], Floats]
    router_version: str

    def __len__(self) -> int:
        return len(self.numbers)


def read_sample(engine: Engine, account: str, since_us: int, until_us: int, router_version: str) -> PromptSample:
    """Return up to 3,000 prompts from moments spread evenly over [since, until)."""
    with engine.connect() as connection:
        rows = _rows(connection, account, since_us, until_us)
        wanted = {row.lane_list_id for row in rows if row.lane_list_id is not None}
        query = select(LANE_LIST_TABLE).where(LANE_LIST_TABLE.c.lane_list_id.in_(wanted))
        lists = {row.lane_list_id: tuple(row.lane_ids) for row in connection.execute(query)} if wanted else {}
    logits = [_lane_logits(row, lists) if row.router_version == router_version else None for row in rows]
    most = _most_frequent([row.lane_list_id for row, odds in zip(rows, logits, strict=True) if odds is not None])
    numbers = np.full((len(rows), len(NUMBER_NAMES)), np.nan)
    by_lanes: dict[tuple[str, ...], list[Floats]] = {}
    for place, (row, odds) in enumerate(zip(rows, logits, strict=True)):
        if row.features is not None and row.features_version == FEATURES_VERSION:
            numbers[place, : len(FEATURE_NAMES)] = np.frombuffer(row.features, FLOAT32)
        numbers[place, -3:-1] = row.n_turns, row.prompt_characters / _CHARACTERS_PER_TOKEN
        if odds is not None:
            by_lanes.setdefault(lists[row.lane_list_id], []).append(odds)
            if row.lane_list_id == most:
                numbers[place, -1] = np.nanmean(odds)
    return PromptSample(numbers, {lanes: np.array(odds) for lanes, odds in by_lanes.items()}, router_version)


def _rows(connection: Connection, account: str, since_us: int, until_us: int) -> list[Row[Any]]:
    columns = ("request_id", "conversation_id", "features", "features_version", "n_turns", "prompt_characters")
    query = (
        select(*(_ATTEMPT[name] for name in (*columns, "candidates", "lane_list_id", "router_version")))
        .where(_ATTEMPT.account == account, _ATTEMPT.attempt == 0, _ATTEMPT.started_at_us < until_us)
        .order_by(_ATTEMPT.started_at_us)
        .limit(_ROWS_A_MOMENT)
    )
    by_conversation: dict[str, Row[Any]] = {}
    for moment in range(_MOMENTS):
        begin_us = since_us + (until_us - since_us) * moment // _MOMENTS
        for row in connection.execute(query.where(_ATTEMPT.started_at_us >= begin_us)):
            by_conversation.setdefault(row.conversation_id or row.request_id, row)
    return list(by_conversation.values())


def _lane_logits(row: Row[Any], lists: dict[str, tuple[str, ...]]) -> Floats | None:
    if row.candidates is None:
        return None
    candidates = unpack_candidates(row.candidates, lists[row.lane_list_id])
    odds = logit(np.asarray(candidates.quality, np.float32))
    if candidates.quality_shift is not None:
        odds = odds - candidates.quality_shift
    return None if np.isnan(odds).all() else odds


def _most_frequent(names: Sequence[str]) -> str | None:
    return max(set(names), key=names.count) if names else None
