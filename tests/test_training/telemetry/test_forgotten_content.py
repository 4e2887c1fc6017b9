"""Content that an account took back or erased is neither exported nor read, not even from older exports."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine
from telemetry_strategies import NOON, attempt_row, feedback_row

from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.rows import Account
from serve.storage.database import open_database
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.erasure import TelemetryErasure
from serve.telemetry.export.export import append_telemetry, export_telemetry
from serve.telemetry.feedback_repository import FeedbackRepository
from training.errors import TelemetryError
from training.telemetry.reader import read_logs

DAY = timedelta(days=1)
ACCOUNTS = ("acme", "quiet", "half")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path / "telemetry.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def audit(engine: Engine) -> AuditRepository:
    """Three accounts with a request each, and a fourth that no test limits."""
    audit = AuditRepository(engine, lambda: NOON + DAY)
    accounts = AccountRepository(audit)
    for number, name in enumerate((*ACCOUNTS, "plain")):
        accounts.add(Account(name, name, "UTC", "never", True, NOON), "test")
        row = attempt_row(number, account=name, prompt_text=f"words of {name}", answer_text="an answer")
        AttemptRepository(engine).insert_many([row])
        FeedbackRepository(engine).insert_many([feedback_row(number, comment="a comment")])
    return audit


def limit(audit: AuditRepository) -> None:
    for name, content in (("quiet", "none"), ("half", "features")):
        AccountRepository(audit).change(name, "test", logged_content=content)


def export(engine: Engine, out: Path, until: timedelta = 2 * DAY) -> Path:
    export_telemetry(engine, NOON - DAY, NOON + until, out)
    return out


def readable_content(folder: Path) -> dict[str, tuple[bool, bool]]:
    """Return account -> (whether its text can be read, whether its features can)."""
    logs = read_logs(folder)
    has_features = np.isfinite(logs.features).all(axis=1) if logs.features.shape[1] else np.zeros(len(logs), bool)
    return {
        str(account): (prompt is not None, bool(has))
        for account, prompt, has in zip(logs.accounts, logs.prompts, has_features, strict=True)
    }


def texts_in(out: Path) -> set[Any]:
    tables = [pq.read_table(path, partitioning=None) for path in out.rglob("date=*/*.parquet")]
    columns = ("prompt_text", "answer_text", "comment")
    return {
        text for table in tables for name in columns if name in table.column_names for text in table[name].to_pylist()
    }


def test_an_export_keeps_to_the_limits_of_an_account(engine: Engine, audit: AuditRepository, tmp_path: Path) -> None:
    limit(audit)

    out = export(engine, tmp_path / "out")

    assert readable_content(out) == {
        "acme": (True, True),
        "quiet": (False, False),
        "half": (False, True),
        "plain": (True, True),
    }
    assert texts_in(out) == {"words of acme", "words of plain", "an answer", "a comment", None}
    comments = pq.read_table(out / "feedback", partitioning=None).to_pylist()
    assert [row["comment"] for row in comments] == ["a comment", None, None, "a comment"]


def test_newer_limits_of_accounts_hold_for_older_exports_too(
    engine: Engine, audit: AuditRepository, tmp_path: Path
) -> None:
    export(engine, tmp_path / "all" / "old")
    assert set(readable_content(tmp_path / "all").values()) == {(True, True)}
    limit(audit)
    TelemetryErasure(engine, audit).forget("acme", "ann", has_rows=True)

    export(engine, tmp_path / "all" / "new", 3 * DAY)

    assert readable_content(tmp_path / "all") == {"quiet": (False, False), "half": (False, True), "plain": (True, True)}
    assert "acme" in readable_content(tmp_path / "all" / "old")  # alone, it has no list of erased accounts


def test_limits_hold_for_an_export_that_grows(engine: Engine, audit: AuditRepository, tmp_path: Path) -> None:
    append_telemetry(engine, NOON - DAY, NOON + DAY, tmp_path / "out")
    TelemetryErasure(engine, audit).forget("acme", "ann", has_rows=False)
    later = attempt_row(9, account="acme", started_at=NOON + DAY + timedelta(hours=1), prompt_text="after that")
    AttemptRepository(engine).insert_many([later])

    append_telemetry(engine, None, NOON + 2 * DAY, tmp_path / "out")

    logs = read_logs(tmp_path / "out")
    assert [prompt for account, prompt in zip(logs.accounts, logs.prompts, strict=True) if account == "acme"] == [
        None,
        "after that",
    ]
    assert "words of acme" not in texts_in(tmp_path / "out")
    assert "after that" in texts_in(tmp_path / "out")


def test_an_export_that_grows_drops_content_that_it_may_no_longer_hold(
    engine: Engine, audit: AuditRepository, tmp_path: Path
) -> None:
    first = append_telemetry(engine, NOON - DAY, NOON + DAY, tmp_path / "out")
    limit(audit)
    TelemetryErasure(engine, audit).forget("acme", "ann", has_rows=True)

    second = append_telemetry(engine, None, NOON + DAY, tmp_path / "out")

    assert (first.attempt_rows, first.feedback_rows) == (4, 4)
    assert (second.attempt_rows, second.feedback_rows) == (3, 3)
    assert readable_content(tmp_path / "out") == {"quiet": (False, False), "half": (False, True), "plain": (True, True)}
    assert texts_in(tmp_path / "out") == {"words of plain", "an answer", "a comment", None}
    assert append_telemetry(engine, None, NOON + DAY, tmp_path / "out").files == second.files


def test_a_stricter_limit_drops_more_content(engine: Engine, audit: AuditRepository, tmp_path: Path) -> None:
    append_telemetry(engine, NOON - DAY, NOON + DAY, tmp_path / "out")
    for content, expected in (("features", (False, True)), ("none", (False, False))):
        AccountRepository(audit).change("acme", "test", logged_content=content)

        append_telemetry(engine, None, NOON + DAY, tmp_path / "out")

        (path,) = (tmp_path / "out").rglob("attempts/*/*.parquet")
        (row,) = [row for row in pq.read_table(path, partitioning=None).to_pylist() if row["account"] == "acme"]
        assert (row["prompt_text"] is not None, row["features"] is not None) == expected


def test_a_file_without_rows_left_is_deleted(engine: Engine, audit: AuditRepository, tmp_path: Path) -> None:
    append_telemetry(engine, NOON - DAY, NOON + DAY, tmp_path / "out")
    for account in (*ACCOUNTS, "plain"):
        TelemetryErasure(engine, audit).forget(account, "ann", has_rows=True)

    summary = append_telemetry(engine, None, NOON + DAY, tmp_path / "out")

    assert [file.path for file in summary.files] == ["forgotten.json"]
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert len(read_logs(tmp_path / "out")) == 0


def test_rows_of_a_forgotten_request_that_are_stored_late_are_not_exported(
    engine: Engine, audit: AuditRepository, tmp_path: Path
) -> None:
    TelemetryErasure(engine, audit).forget("acme", "ann", has_rows=True)
    AttemptRepository(engine).insert_many([attempt_row(50, account="acme", prompt_text="was under way")])
    FeedbackRepository(engine).insert_many([feedback_row(50, comment="of it")])

    out = export(engine, tmp_path / "out")

    assert "acme" not in readable_content(out)
    assert not {"was under way", "of it"} & texts_in(out)


def test_an_account_without_limits_again_is_exported_again(
    engine: Engine, audit: AuditRepository, tmp_path: Path
) -> None:
    limit(audit)
    AccountRepository(audit).change("quiet", "test", logged_content="full")

    assert readable_content(export(engine, tmp_path / "out"))["quiet"] == (True, True)


def test_a_changed_list_of_erased_accounts_is_refused(engine: Engine, audit: AuditRepository, tmp_path: Path) -> None:
    limit(audit)
    out = export(engine, tmp_path / "out")
    (out / "forgotten.json").write_text(json.dumps({"accounts": []}))

    with pytest.raises(TelemetryError, match="is not what the manifest says"):
        read_logs(out)
