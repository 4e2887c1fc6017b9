"""What every database must do when an account wants forgotten what was logged of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from telemetry_strategies import NOON, attempt_row, feedback_row

from router.telemetry_schema import AttemptRow, FeedbackRow, ForgottenContent
from serve.alerts.watch_repository import Alarm, WatchRepository
from serve.idempotency.repository import Claim, IdempotencyRepository, StoredAnswer
from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.rows import Account
from serve.storage.idempotency_tables import IDEMPOTENCY_TABLE
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.erasure import TelemetryErasure
from serve.telemetry.feedback_repository import FeedbackRepository
from serve.telemetry.forgotten_repository import ForgottenRepository

FAR_AHEAD = datetime(2300, 1, 1, tzinfo=UTC)
NOW = NOON + timedelta(minutes=30)


@pytest.fixture
def audit(engine: Engine) -> AuditRepository:
    return AuditRepository(engine, lambda: NOW)


@pytest.fixture
def erasure(engine: Engine, audit: AuditRepository) -> TelemetryErasure:
    return TelemetryErasure(engine, audit)


def log(engine: Engine, n_requests: int = 3) -> None:
    texts = {"prompt_text": "secret words", "answer_text": "more of them"}
    rows = [attempt_row(n, account="acme" if n % 2 == 0 else "other", **texts) for n in range(2 * n_requests)]
    later = attempt_row(99_999, account="acme", started_at=NOW + timedelta(seconds=1), **texts)
    AttemptRepository(engine).insert_many([*rows, later])
    FeedbackRepository(engine).insert_many([feedback_row(n, comment="my words") for n in range(2 * n_requests)])


def attempts(engine: Engine, account: str) -> list[AttemptRow]:
    return [row for rows in AttemptRepository(engine).read(NOON, FAR_AHEAD) for row in rows if row.account == account]


def feedback(engine: Engine) -> list[FeedbackRow]:
    return [row for rows in FeedbackRepository(engine).read(NOON, FAR_AHEAD) for row in rows]


def test_contents_go_and_rows_numbers_and_others_stay(engine: Engine, erasure: TelemetryErasure) -> None:
    log(engine)
    before, others = attempts(engine, "acme"), attempts(engine, "other")

    erased = erasure.forget("acme", "ann", has_rows=False)

    *forgotten, later = attempts(engine, "acme")
    assert (erased.n_attempts, erased.until) == (3, NOW)
    assert [(row.prompt_text, row.answer_text, row.features, row.features_version) for row in forgotten] == [
        (None,) * 4
    ] * 3
    assert [(row.cost_nusd, row.candidates, row.propensity) for row in forgotten] == [
        (row.cost_nusd, row.candidates, row.propensity) for row in before[:3]
    ]
    assert later == before[-1]  # it began afterwards
    assert attempts(engine, "other") == others
    assert [row.comment for row in feedback(engine)] == [None, "my words"] * 3
    assert [row.value for row in feedback(engine)] == [1.0] * 6


def test_rows_go_where_that_is_wanted(engine: Engine, erasure: TelemetryErasure) -> None:
    log(engine)

    erasure.forget("acme", "ann", has_rows=True)

    assert [row.request_id for row in attempts(engine, "acme")] == ["request-099999"]
    assert [row.request_id for row in feedback(engine)] == [row.request_id for row in attempts(engine, "other")]


@pytest.mark.parametrize("has_rows", [False, True])
def test_what_comes_to_be_stored_only_afterwards_is_forgotten_too(
    engine: Engine, erasure: TelemetryErasure, has_rows: bool
) -> None:
    erasure.forget("acme", "ann", has_rows=has_rows)

    log(engine)

    *forgotten, later = attempts(engine, "acme")
    assert later.prompt_text == "secret words"  # it began afterwards
    contents = [(row.prompt_text, row.answer_text, row.features) for row in forgotten]
    assert contents == ([] if has_rows else [(None, None, None)] * 3)
    assert {row.prompt_text for row in attempts(engine, "other")} == {"secret words"}
    comments = [row.comment for row in feedback(engine)]
    assert comments == (["my words"] * 3 if has_rows else [None, "my words"] * 3)


def test_feedback_that_waited_while_its_request_was_deleted_goes_with_it(
    engine: Engine, erasure: TelemetryErasure
) -> None:
    AttemptRepository(engine).insert_many([attempt_row(0, account="acme"), attempt_row(1, account="other")])
    erasure.forget("acme", "ann", has_rows=True)
    FeedbackRepository(engine).insert_many([feedback_row(n, comment="my words") for n in range(2)])
    assert [row.request_id for row in feedback(engine)] == [row.request_id for row in attempts(engine, "other")]


def test_it_is_noted_for_exports_and_in_the_audit_log(
    engine: Engine, erasure: TelemetryErasure, audit: AuditRepository
) -> None:
    accounts = AccountRepository(audit)
    for name, content in (("acme", None), ("quiet", "none"), ("open", "full"), ("half", "features")):
        accounts.add(Account(name, name, "UTC", "never", True, NOW, content), "test")  # type: ignore[arg-type]
    erasure.forget("acme", "ann", has_rows=False)

    entry = audit.entries("acme")[0]

    assert (entry.actor, entry.action, entry.details) == (
        "ann",
        "account.forget",
        {"kept": "none", "until": NOW.isoformat()},
    )
    assert ForgottenRepository(engine).entries(FAR_AHEAD) == [
        ForgottenContent("acme", NOW, "none"),
        ForgottenContent("half", FAR_AHEAD, "features"),
        ForgottenContent("quiet", FAR_AHEAD, "none"),
    ]


def test_answers_that_were_kept_to_be_given_again_go_too(engine: Engine, erasure: TelemetryErasure) -> None:
    repository = IdempotencyRepository(engine)
    for account in ("acme", "other"):
        claim = Claim(account, "again", b"f", "c")
        repository.claim(claim, 0, 10, 20)
        repository.finish(claim, StoredAnswer(200, [], b"words", is_sealed=False))

    erasure.forget("acme", "ann", has_rows=False)

    with engine.connect() as connection:
        assert connection.execute(select(IDEMPOTENCY_TABLE.c.account)).scalars().all() == ["other"]


@pytest.mark.slow
def test_many_are_forgotten_in_many_steps_and_again_is_no_harm(engine: Engine, erasure: TelemetryErasure) -> None:
    log(engine, 1_200)

    first, again = (erasure.forget("acme", "ann", has_rows=has_rows) for has_rows in (False, True))

    assert (first.n_attempts, again.n_attempts) == (900, 900)  # those of half an hour
    assert len(attempts(engine, "acme")) == 301


def test_sqlite_keeps_no_copy_of_the_words(engine: Engine, erasure: TelemetryErasure, tmp_path: Path) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's vacuum sees to it")
    rows = [attempt_row(n, account="acme", prompt_text="Rosebud " * 2_000) for n in range(20)]
    AttemptRepository(engine).insert_many(rows)
    file = Path(str(engine.url.database))

    erasure.forget("acme", "ann", has_rows=False)

    assert all(b"Rosebud" not in path.read_bytes() for path in file.parent.glob(f"{file.name}*"))


def test_what_was_learned_online_goes_with_the_rows_and_stays_without(
    engine: Engine, erasure: TelemetryErasure
) -> None:
    watch, first = WatchRepository(engine), ("feedback", "", "")
    kept = {("lanes", account, "base+1"): {} for account in ("acme", "other")}
    alarms = [Alarm(account, "price", "p/a", 7_000_000, 50.0, 20.0, "It changed.") for account in ("acme", "other")]
    watch.save(first, 0, {first: {}, **kept}, 5, alarms)
    erasure.forget("acme", "a test", has_rows=False)
    assert set(watch.states("lanes")) == set(kept)
    erasure.forget("acme", "a test", has_rows=True)
    assert set(watch.states("lanes")) == {("lanes", "other", "base+1")}
    assert watch.alarms(0) == alarms[1:]
    assert watch.state(first) is not None
