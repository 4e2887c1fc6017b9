"""An export that grows: what came since is added, nothing twice, and a cut leaves it as it was."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine
from telemetry_strategies import NOON, attempt_row, feedback_row
from typer.testing import CliRunner

from router.telemetry_schema import LaneRow
from serve.cli.main import build_command_line
from serve.errors import ExportError
from serve.storage.database import open_database
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.export.export import ExportSummary, append_telemetry, export_telemetry
from serve.telemetry.export.folder import locked_folder
from serve.telemetry.feedback_repository import FeedbackRepository
from serve.telemetry.priced_lane_repository import PricedLaneRepository
from training.telemetry.reader import read_logs

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path / "telemetry.db"))
    yield engine
    engine.dispose()


def add(engine: Engine, *numbers: int, **changes: object) -> None:
    AttemptRepository(engine).insert_many([attempt_row(number, **changes) for number in numbers])


def lane(snapshot: str, lane_id: str = "sandbox/small", **changes: object) -> LaneRow:
    values = {"provider": "sandbox", "upstream_model": "small", "vendor_model": "sandbox/small", "noted_at": NOON}
    rates = {"input_usd_per_mtok": 0.05, "output_usd_per_mtok": 0.08}
    others = {**values, **rates, **changes}
    return LaneRow(price_snapshot_id=snapshot, lane_id=lane_id, **others)  # type: ignore[arg-type]


def appended(engine: Engine, out: Path, end: timedelta = DAY) -> ExportSummary:
    return append_telemetry(engine, NOON - DAY, NOON + end, out)


def requests_in(out: Path) -> list[str]:
    return [str(request_id) for request_id in read_logs(out).request_ids]


def test_what_came_since_is_added_in_new_files(engine: Engine, tmp_path: Path) -> None:
    add(engine, 0, 1)
    first = appended(engine, tmp_path / "out", 10 * SECOND)
    add(engine, 2, started_at=NOON + 20 * SECOND)
    FeedbackRepository(engine).insert_many([feedback_row(0)])

    second = appended(engine, tmp_path / "out")

    assert (first.attempt_rows, second.attempt_rows, second.feedback_rows) == (2, 3, 1)
    assert (second.since, second.until) == (NOON - DAY, NOON + DAY)
    assert set(first.files) < set(second.files)
    assert requests_in(tmp_path / "out") == [f"request-{n:06}" for n in range(3)]


def test_doing_it_again_adds_nothing(engine: Engine, tmp_path: Path) -> None:
    add(engine, *range(5), price_snapshot_id="then")
    PricedLaneRepository(engine).put([lane("then")])
    FeedbackRepository(engine).insert_many([feedback_row(0)])
    first = appended(engine, tmp_path / "out")

    assert appended(engine, tmp_path / "out") == first
    assert appended(engine, tmp_path / "out", SECOND) == first  # nor does an earlier end


def test_a_row_that_was_stored_late_is_not_missed(engine: Engine, tmp_path: Path) -> None:
    add(engine, 0)
    appended(engine, tmp_path / "out", 10 * SECOND)
    add(engine, 5)  # began before the export's end, ended after it

    appended(engine, tmp_path / "out", 20 * SECOND)

    assert requests_in(tmp_path / "out") == ["request-000000", "request-000005"]


def test_growing_day_by_day_gives_the_rows_of_one_export(engine: Engine, tmp_path: Path) -> None:
    for day in range(4):
        add(engine, day, started_at=NOON + day * DAY)
        FeedbackRepository(engine).insert_many([feedback_row(day, received_at=NOON + day * DAY + SECOND)])
        appended(engine, tmp_path / "grown", day * DAY + 2 * SECOND)
    export_telemetry(engine, NOON - DAY, NOON + 9 * DAY, tmp_path / "whole")

    grown, whole = (sorted((tmp_path / name).rglob("date=*/*.parquet")) for name in ("grown", "whole"))

    assert [pq.read_table(path, partitioning=None) for path in grown] == [
        pq.read_table(path, partitioning=None) for path in whole
    ]


def test_lanes_are_those_of_the_prices_that_attempts_name_and_the_newest_word_counts(
    engine: Engine, tmp_path: Path
) -> None:
    add(engine, 0, price_snapshot_id="then")
    PricedLaneRepository(engine).put([lane("then", trained_name="llama"), lane("never_used")])
    appended(engine, tmp_path / "out", 10 * SECOND)
    add(engine, 1, started_at=NOON + DAY, price_snapshot_id="now")
    PricedLaneRepository(engine).put([lane("now", trained_name="llama-2", noted_at=NOON + SECOND, request_usd=0.01)])

    summary = appended(engine, tmp_path / "out", 2 * DAY)

    (path,) = [file.path for file in summary.files if file.path.startswith("lanes/")]
    lanes = pq.read_table(tmp_path / "out" / path, partitioning=None).to_pylist()
    assert [LaneRow(**values) for values in lanes] == PricedLaneRepository(engine).of_snapshots(["then", "now"])
    logs = read_logs(tmp_path / "out")
    assert dict(zip(logs.lane_ids, logs.trained_names, strict=True)) == {
        "sandbox/eu": None,
        "sandbox/large": None,
        "sandbox/small": "llama-2",
    }


def test_files_of_an_export_that_was_cut_off_do_not_count_and_are_cleared_away(engine: Engine, tmp_path: Path) -> None:
    add(engine, 0)
    appended(engine, tmp_path / "out", 10 * SECOND)
    stray = tmp_path / "out" / "attempts" / "date=2026-11-01" / "part-00001.parquet"
    stray.write_bytes(b"half")
    assert requests_in(tmp_path / "out") == ["request-000000"]

    appended(engine, tmp_path / "out")

    assert not stray.exists()


def test_only_one_adds_at_a_time(engine: Engine, tmp_path: Path) -> None:
    appended(engine, tmp_path / "out")

    with (
        locked_folder(tmp_path / "out"),
        pytest.raises(ExportError, match=r"another export is adding to .*: wait for its end"),
    ):
        appended(engine, tmp_path / "out")


def test_an_export_of_another_version_is_left_alone(engine: Engine, tmp_path: Path) -> None:
    appended(engine, tmp_path / "out")
    manifest = tmp_path / "out" / "export.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 1}))

    with pytest.raises(
        ExportError, match=r"is an export of schema version 1, .*Keep it, and begin a new one next to it"
    ):
        appended(engine, tmp_path / "out")


def test_without_an_export_it_takes_a_beginning(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"there is no export at .* yet: say with --since where it begins"):
        append_telemetry(engine, None, NOON, tmp_path / "out")


def test_the_command_adds_and_says_what_is_there_then(engine: Engine, tmp_path: Path) -> None:
    add(engine, 0)
    arguments = ["export", "--out", str(tmp_path / "out"), "--database", str(tmp_path / "telemetry.db")]

    no_beginning = CliRunner().invoke(build_command_line("export"), arguments)
    first = CliRunner().invoke(
        build_command_line("export"), [*arguments, "--append", "--since", "2026-11-01", "--until", "2026-11-02"]
    )
    add(engine, 1, started_at=NOON + DAY)
    second = CliRunner().invoke(build_command_line("export"), [*arguments, "--append", "--until", "2026-11-03"])

    assert no_beginning.exit_code == 2
    assert "say with --since where the export begins" in no_beginning.stderr
    assert first.stdout.startswith("1 attempts and 0 pieces of feedback from 2026-11-01 00:00 to 2026-11-02 00:00 UTC")
    assert second.stdout.startswith("2 attempts and 0 pieces of feedback from 2026-11-01 00:00 to 2026-11-03 00:00 UTC")
