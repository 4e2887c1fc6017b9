"""Reads the answers that got new feedback, together with what was predicted of them."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, Row, select

from router.check_faults import CHECK_RULES
from router.lane_learning import JudgedAnswer, Signal, read_signals
from router.reward import keep_last
from router.telemetry_schema import STOPPED_OUTCOMES
from serve.storage.tables import ATTEMPT_TABLE, FEEDBACK_TABLE, LANE_LIST_TABLE
from serve.telemetry.candidate_codec import unpack_candidates

_log = logging.getLogger("llmdeal.watch")
_ATTEMPT: Final = ATTEMPT_TABLE.c
_FEEDBACK: Final = FEEDBACK_TABLE.c
_IDS_A_QUERY: Final = 500
MOST_ROWS: Final = 2_000
"""Pieces of feedback that are read at once."""
_T = TypeVar("_T")
Learner = tuple[str, str]
"""An account, and the version of the bundle that made the predictions."""
_Statement = tuple[str, str, str, int]
"""A request, a metric, a giver and the time, microseconds."""


@dataclass(frozen=True, slots=True)
class NewlyJudged:
    """The answers that got feedback in one time span.

    Args:
        answers: Learner -> its answers, in the order in which the feedback came.
        read_until_us: End of the span: all feedback received at or before it was read.
        is_all: Whether all feedback of the requested span was read.
    """

    answers: Mapping[Learner, Sequence[JudgedAnswer]]
    read_until_us: int
    is_all: bool


def read_newly_judged(engine: Engine, after_us: int, until_us: int) -> NewlyJudged:
    """Return the answers that got feedback in (after_us, until_us], for the first `MOST_ROWS` pieces of feedback."""
    with engine.connect() as connection:
        newest = _feedback(
            connection, (_FEEDBACK.received_at_us > after_us) & (_FEEDBACK.received_at_us <= until_us), MOST_ROWS
        )
        is_all = len(newest) < MOST_ROWS
        if not is_all:
            until_us = newest[-1].received_at_us  # more feedback may have come at the same microsecond
            newest += _feedback(connection, _FEEDBACK.received_at_us == until_us, None)
        ids = list(dict.fromkeys(row.request_id for row in newest))
        by_request = defaultdict(list)
        for part in _parts(ids):
            for row in _feedback(
                connection, _FEEDBACK.request_id.in_(part) & (_FEEDBACK.received_at_us <= until_us), None
            ):
                by_request[row.request_id].append(row)
        attempts = {row.request_id: row for part in _parts(ids) for row in _answers(connection, part)}
        lane_lists = _lane_lists(connection, {row.lane_list_id for row in attempts.values()})
        shared = _shared(connection, [row for rows in by_request.values() for row in rows])
    answers: dict[Learner, list[JudgedAnswer]] = defaultdict(list)
    for request_id in ids:
        attempt = attempts.get(request_id)
        try:
            answer = None if attempt is None else _judged(attempt, lane_lists, by_request[request_id], after_us, shared)
        except (KeyError, ValueError) as error:  # one row that cannot be read must not keep the others from being read
            _log.error("the judged answer of %s is passed over: %s", request_id, error)
            continue
        if attempt is not None and answer is not None:
            answers[attempt.account, attempt.router_version].append(answer)
    return NewlyJudged(answers, until_us, is_all)


def _judged(
    attempt: Row[Any],
    lane_lists: Mapping[str, tuple[str, ...]],
    feedback: Sequence[Row[Any]],
    after_us: int,
    shared: Mapping[_Statement, int],
) -> JudgedAnswer | None:
    """Return what an answer teaches; None: nothing was predicted of it, or no feedback on it counts."""
    candidates = unpack_candidates(attempt.candidates, lane_lists[attempt.lane_list_id])
    place = candidates.lane_ids.index(attempt.lane_id)
    predicted = float(candidates.quality[place])
    if candidates.quality_shift is not None:
        odds = np.exp(-float(candidates.quality_shift[place]))
        predicted = float(predicted * odds / (1 - predicted + predicted * odds))
    if attempt.outcome in STOPPED_OUTCOMES:  # checks are about whole answers
        feedback = [row for row in feedback if row.metric_name not in CHECK_RULES]
    signals = _standing(feedback, shared)
    if not signals or predicted != predicted:
        return None
    former = _standing([row for row in feedback if row.received_at_us <= after_us], shared)
    return JudgedAnswer(attempt.lane_id, attempt.vendor_model, predicted, attempt.started_at_us / 1e6, signals, former)


def _standing(feedback: Sequence[Row[Any]], shared: Mapping[_Statement, int]) -> tuple[Signal, ...]:
    """Return the signals of one request that count: for each giver and metric, the last one.

    A judgement of n answers of a conversation counts once: for each of them it weighs 1/n.
    """
    if not feedback:
        return ()
    received = np.array([row.received_at_us for row in feedback], "datetime64[us]")
    names, givers = [row.metric_name for row in feedback], [row.given_by for row in feedback]
    last = keep_last(np.zeros(len(feedback), np.intp), names, givers, received)
    rows = [feedback[place] for place in last]
    return read_signals(
        [row.metric_name for row in rows],
        [float(row.value) for row in rows],
        [shared.get(_key(row), 1) for row in rows],
    )


def _key(row: Row[Any]) -> _Statement:
    return row.request_id, row.metric_name, row.given_by, row.received_at_us


def _shared(connection: Connection, feedback: Sequence[Row[Any]]) -> dict[_Statement, int]:
    """Return for judgements of several answers of a conversation how many answers they are about.

    They were stored by one call: the same metric and giver at the same microsecond.
    """
    times = sorted({row.received_at_us for row in feedback if row.metric_name not in CHECK_RULES})
    together: dict[tuple[str, str, int], list[_Statement]] = defaultdict(list)
    for part in _parts(times):
        for row in _feedback(connection, _FEEDBACK.received_at_us.in_(part), None):
            if row.metric_name not in CHECK_RULES:
                together[row.metric_name, row.given_by, row.received_at_us].append(_key(row))
    several = [group for group in together.values() if len(group) > 1]
    ids = sorted({statement[0] for group in several for statement in group})
    conversations: dict[str, str | None] = {}
    for part in _parts(ids):
        query = select(_ATTEMPT.request_id, _ATTEMPT.conversation_id).where(_ATTEMPT.request_id.in_(part))
        conversations |= {row.request_id: row.conversation_id for row in connection.execute(query)}
    shared = {}
    for group in several:
        of_group = [conversations.get(statement[0]) for statement in group]
        for statement, conversation in zip(group, of_group, strict=True):
            if conversation is not None:
                shared[statement] = of_group.count(conversation)
    return shared


def _feedback(connection: Connection, which: ColumnElement[bool], limit: int | None) -> list[Row[Any]]:
    columns = (
        _FEEDBACK.request_id,
        _FEEDBACK.metric_name,
        _FEEDBACK.given_by,
        _FEEDBACK.received_at_us,
        _FEEDBACK.value,
    )
    query = select(*columns).where(which).order_by(_FEEDBACK.received_at_us, _FEEDBACK.request_id).limit(limit)
    return list(connection.execute(query))


def _answers(connection: Connection, request_ids: Sequence[str]) -> Iterator[Row[Any]]:
    """Yield the attempts that answered, in whole or in part, the last one of a request at its end."""
    columns = (
        "request_id",
        "account",
        "router_version",
        "lane_id",
        "vendor_model",
        "started_at_us",
        "outcome",
        "candidates",
        "lane_list_id",
    )
    query = select(*(_ATTEMPT[name] for name in columns)).where(
        _ATTEMPT.request_id.in_(request_ids),
        (_ATTEMPT.outcome == "ok") | (_ATTEMPT.outcome.in_(STOPPED_OUTCOMES) & _ATTEMPT.ttft_ms.is_not(None)),
        _ATTEMPT.router_version.is_not(None),
        _ATTEMPT.candidates.is_not(None),
    )
    yield from connection.execute(query.order_by(_ATTEMPT.request_id, _ATTEMPT.attempt))


def _lane_lists(connection: Connection, wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    query = select(LANE_LIST_TABLE).where(LANE_LIST_TABLE.c.lane_list_id.in_(wanted))
    return {row.lane_list_id: tuple(row.lane_ids) for row in connection.execute(query)} if wanted else {}


def _parts(ids: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(ids), _IDS_A_QUERY):
        yield ids[start : start + _IDS_A_QUERY]
