import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from telemetry_strategies import NOON, attempt_row, attempt_rows, feedback_row, feedback_rows
from typer.testing import CliRunner

from router.telemetry_schema import TELEMETRY_SCHEMA_VERSION, AttemptRow, Candidate, CandidateTable, FeedbackRow
from serve.cli.export_command import export, parse_moment
from serve.errors import ExportError
from serve.storage.database import open_database
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.export.arrow import attempts_to_arrow, feedback_to_arrow
from serve.telemetry.export.export import ExportSummary, export_telemetry
from serve.telemetry.feedback_repository import FeedbackRepository

DAY = timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


@pytest.fixture
def engine(database: Path) -> Iterator[Engine]:
    engine = open_database(str(database))
    yield engine
    engine.dispose()


def fill(engine: Engine) -> list[AttemptRow]:
    rows = [attempt_row(number, started_at=MIDNIGHT + timedelta(minutes=number - 5)) for number in range(10)]
    AttemptRepository(engine).insert_many(rows)
    FeedbackRepository(engine).insert_many([feedback_row(number) for number in range(3)])
    return rows


def export_days(engine: Engine, out: Path, **sizes: int) -> ExportSummary:
    return export_telemetry(engine, NOON - DAY, NOON + 2 * DAY, out, **sizes)


def attempt_from(values: dict[str, Any]) -> AttemptRow:
    """Turn what pyarrow read back into the row that was logged."""
    features, candidates = values.pop("features"), values.pop("candidates")
    return AttemptRow(
        **values | {"tags": tuple(values["tags"])},
        features=None if features is None else np.array(features, np.float32),
        candidates=None
        if candidates is None
        else CandidateTable.from_candidates(Candidate(**lane) for lane in candidates),
    )


def read_attempts(out: Path, summary: ExportSummary) -> list[AttemptRow]:
    paths = [out / file.path for file in summary.files if file.path.startswith("attempts/")]
    return [attempt_from(values) for path in paths for values in pq.read_table(path, partitioning=None).to_pylist()]


def run_export_command(*arguments: str) -> tuple[int, str, str]:
    app = typer.Typer()
    app.command()(export)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_what_was_recorded_is_read_back_in_order_in_a_folder_per_day(engine: Engine, tmp_path: Path) -> None:
    rows = fill(engine)

    summary = export_days(engine, tmp_path / "out", chunk_rows=3)

    assert read_attempts(tmp_path / "out", summary) == rows
    assert [file.path for file in summary.files] == [
        "attempts/date=2026-11-01/part-00000.parquet",
        "attempts/date=2026-11-02/part-00000.parquet",
        "feedback/date=2026-11-01/part-00000.parquet",
    ]
    assert (summary.attempt_rows, summary.feedback_rows) == (10, 3)


@settings(deadline=None, max_examples=40)
@given(st.lists(attempt_rows(), max_size=3))
@pytest.mark.slow
def test_any_attempts_are_the_same_in_arrow(rows: list[AttemptRow]) -> None:
    table = attempts_to_arrow(rows)

    table.validate(full=True)
    assert [attempt_from(values) for values in table.to_pylist()] == rows


@settings(deadline=None, max_examples=20)
@given(st.lists(feedback_rows(), max_size=3))
def test_any_feedback_is_the_same_in_arrow(rows: list[FeedbackRow]) -> None:
    assert [FeedbackRow(**values) for values in feedback_to_arrow(rows).to_pylist()] == rows


def test_unknown_is_null_and_zero_is_zero(engine: Engine, tmp_path: Path) -> None:
    AttemptRepository(engine).insert_many(
        [attempt_row(0, cost_nusd=None, features=None, candidates=None), attempt_row(1, cost_nusd=0)]
    )

    export_days(engine, tmp_path / "out")

    table = pq.read_table(tmp_path / "out" / "attempts")
    assert table["cost_nusd"].to_pylist() == [None, 0]
    assert [table[name].null_count for name in ("features", "candidates", "ttft_ms")] == [1, 1, 2]
    (_, decided) = table["candidates"].to_pylist()
    assert decided is not None
    assert [lane["expected_latency_ms"] for lane in decided] == [20, None, 30]


def test_texts_are_absent_unless_they_were_given(engine: Engine, tmp_path: Path) -> None:
    AttemptRepository(engine).insert_many([attempt_row(0), attempt_row(1, prompt_text="why?\0", answer_text="")])

    export_days(engine, tmp_path / "out")

    table = pq.read_table(tmp_path / "out" / "attempts")
    assert table["prompt_text"].to_pylist() == [None, "why?\0"]
    assert table["answer_text"].to_pylist() == [None, ""]


def test_a_long_day_is_split_into_files(engine: Engine, tmp_path: Path) -> None:
    rows = [attempt_row(number) for number in range(10)]
    AttemptRepository(engine).insert_many(rows)

    summary = export_days(engine, tmp_path / "out", chunk_rows=2, file_rows=4)

    assert [file.rows for file in summary.files] == [4, 4, 2]
    assert read_attempts(tmp_path / "out", summary) == rows


def test_the_manifest_names_the_schema_the_window_and_every_file_with_its_hash(engine: Engine, tmp_path: Path) -> None:
    fill(engine)

    summary = export_days(engine, tmp_path / "out")

    manifest = json.loads((tmp_path / "out" / "export.json").read_text())
    hashes = {
        path: hashlib.sha256((tmp_path / "out" / path).read_bytes()).hexdigest()
        for path in (f.path for f in summary.files)
    }
    assert {file["path"]: file["sha256"] for file in manifest["files"]} == hashes
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.parquet")} == set(hashes)
    assert (manifest["schema_version"], manifest["attempt_rows"], manifest["feedback_rows"]) == (
        TELEMETRY_SCHEMA_VERSION,
        10,
        3,
    )
    assert (manifest["since"], manifest["until"]) == ("2026-10-31T12:00:00+00:00", "2026-11-03T12:00:00+00:00")


def test_the_same_rows_give_the_same_files(engine: Engine, tmp_path: Path) -> None:
    fill(engine)

    assert export_days(engine, tmp_path / "one").files == export_days(engine, tmp_path / "two").files


def test_a_window_without_rows_gives_a_manifest_and_no_files(engine: Engine, tmp_path: Path) -> None:
    summary = export_days(engine, tmp_path / "out")

    assert summary.files == ()
    assert json.loads((tmp_path / "out" / "export.json").read_text())["attempt_rows"] == 0


def test_an_earlier_export_is_replaced_whole(engine: Engine, tmp_path: Path) -> None:
    fill(engine)
    export_days(engine, tmp_path / "out")

    export_telemetry(engine, MIDNIGHT, MIDNIGHT + DAY, tmp_path / "out")

    assert [path.name for path in (tmp_path / "out" / "attempts").iterdir()] == ["date=2026-11-02"]
    assert sorted(path.name for path in tmp_path.iterdir() if "telemetry.db" not in path.name) == ["out"]


@pytest.mark.parametrize("name", ["notes.txt", "export.json", "attempts"])
def test_a_folder_that_holds_something_else_is_refused_and_left_alone(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("{}")

    with pytest.raises(ExportError, match="is not empty and not an earlier export: give a folder that is new or empty"):
        export_days(engine, out)

    assert [path.name for path in out.iterdir()] == [name]


def test_a_file_in_the_place_of_the_folder_is_refused(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "out").touch()

    with pytest.raises(ExportError, match="is a file"):
        export_days(engine, tmp_path / "out")


def test_an_export_that_fails_leaves_nothing_behind_and_the_earlier_one_in_place(
    engine: Engine, tmp_path: Path
) -> None:
    fill(engine)
    export_days(engine, tmp_path / "out")
    before = sorted(tmp_path.rglob("*.parquet"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE attempt SET features = x'00' WHERE request_id = 'request-000009'")

    with pytest.raises(ValueError, match="buffer size"):
        export_days(engine, tmp_path / "out", chunk_rows=2)

    assert sorted(tmp_path.rglob("*.parquet")) == before


def test_a_folder_that_cannot_be_written_is_one_clear_error(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ExportError, match="cannot write the export to"):
        export_days(engine, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("since", "until"),
    [(NOON, NOON), (NOON + DAY, NOON), (NOON.replace(tzinfo=None), NOON)],
    ids=["empty", "reversed", "naive"],
)
def test_a_window_that_makes_no_sense_is_refused(
    engine: Engine, tmp_path: Path, since: datetime, until: datetime
) -> None:
    with pytest.raises(ExportError, match="since"):
        export_telemetry(engine, since, until, tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T02:30+02:00", datetime(2026, 11, 1, 0, 30, tzinfo=UTC)),
        ("2026-11-01T00:30Z", datetime(2026, 11, 1, 0, 30, tzinfo=UTC)),
        ("7d", NOON - 7 * DAY),
        ("24h", NOON - DAY),
        ("30m", NOON - timedelta(minutes=30)),
        ("0m", NOON),
    ],
)
def test_moments_are_dates_times_or_how_long_ago(text: str, moment: datetime) -> None:
    assert parse_moment(text, "--since", NOON) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "7w", "-7d", "99999999d", "2026-11-01 to 2026-11-02"])
def test_a_moment_that_is_not_understood_is_named_with_the_mend(text: str) -> None:
    with pytest.raises(
        ExportError, match=r"--since .* is no moment: write a date \(2026-11-01\) or how long ago \(7d, 24h\)"
    ):
        parse_moment(text, "--since", NOON)


def test_the_command_writes_the_export_and_says_how_much(engine: Engine, database: Path, tmp_path: Path) -> None:
    fill(engine)

    code, output, errors = run_export_command(
        "--since", "2026-11-01", "--until", "2026-11-03", "--out", str(tmp_path / "out"), "--database", str(database)
    )

    assert (code, errors) == (0, "")
    assert output.startswith("10 attempts and 3 pieces of feedback from 2026-11-01 00:00 to 2026-11-03 00:00 UTC")
    assert (tmp_path / "out" / "export.json").exists()


@pytest.mark.parametrize(
    ("since", "database", "message"),
    [("soon", "telemetry.db", "is no moment"), ("7d", "absent.db", "there is no database at")],
    ids=["since", "database"],
)
def test_the_command_fails_with_one_line_and_code_two(tmp_path: Path, since: str, database: str, message: str) -> None:
    code, output, errors = run_export_command(
        "--since", since, "--out", str(tmp_path / "out"), "--database", str(tmp_path / database)
    )

    assert (code, output) == (2, "")
    assert errors.startswith("llmdeal: ")
    assert message in errors
    assert errors.count("\n") == 1
