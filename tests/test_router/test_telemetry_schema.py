from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from telemetry_strategies import attempt_row, candidate_table, candidate_tables, feedback_row

from router.telemetry_schema import (
    ATTEMPT_COLUMNS,
    CANDIDATE_COLUMNS,
    FEEDBACK_COLUMNS,
    AttemptRow,
    Candidate,
    CandidateTable,
    Column,
    FeedbackRow,
)


@pytest.mark.parametrize(
    ("row_class", "columns"),
    [(AttemptRow, ATTEMPT_COLUMNS), (FeedbackRow, FEEDBACK_COLUMNS), (Candidate, CANDIDATE_COLUMNS)],
    ids=["attempt", "feedback", "candidate"],
)
def test_every_field_has_its_column_in_the_same_order(row_class: type, columns: tuple[Column, ...]) -> None:
    assert [field.name for field in fields(row_class)] == [column.name for column in columns]


@pytest.mark.parametrize(
    ("row_class", "columns"),
    [(AttemptRow, ATTEMPT_COLUMNS), (FeedbackRow, FEEDBACK_COLUMNS)],
    ids=["attempt", "feedback"],
)
def test_a_column_may_be_null_exactly_where_its_field_may_be_none(row_class: type, columns: tuple[Column, ...]) -> None:
    may_be_none = {field.name: "None" in str(field.type) for field in fields(row_class)}

    assert may_be_none == {column.name: column.is_nullable for column in columns}


def test_every_column_says_what_it_means() -> None:
    for column in (*ATTEMPT_COLUMNS, *FEEDBACK_COLUMNS, *CANDIDATE_COLUMNS):
        assert column.meaning.endswith("."), column.name


@settings(deadline=None, max_examples=30)
@given(candidate_tables())
def test_candidates_as_rows_and_back_are_the_same_columns(table: CandidateTable) -> None:
    assert CandidateTable.from_candidates(table.to_candidates()) == table


def test_unknown_candidate_numbers_are_none_and_zero_stays_zero() -> None:
    small, large, eu = candidate_table().to_candidates()

    assert large.expected_latency_ms is None
    assert eu.expected_cost_usd == 0.0
    assert [lane.excluded_by for lane in (small, large, eu)] == [None, None, "region"]


def test_rows_are_equal_by_content_and_not_by_identity() -> None:
    assert attempt_row() == attempt_row()
    assert hash(attempt_row()) == hash(attempt_row())
    assert feedback_row() == feedback_row()


@pytest.mark.parametrize(
    "changes",
    [
        {"cost_nusd": None},
        {"features": None},
        {"features": np.zeros(3, np.float32)},
        {"candidates": None},
        {"attempt": 1},
    ],
    ids=str,
)
def test_rows_that_differ_in_one_column_differ(changes: dict[str, Any]) -> None:
    assert attempt_row() != attempt_row(**changes)


def test_a_row_differs_from_anything_else() -> None:
    assert attempt_row() != feedback_row()
    assert candidate_table() != 0
