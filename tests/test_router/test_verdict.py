"""The verdict file: there and back, and what is refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.errors import BundleError
from router.verdict import VERDICT_FILE, Guard, Interval, Verdict, read_verdict, write_verdict

VERDICT = Verdict(
    challenger_version="night-2+0123abcd",
    champion_version="night-1+89abcdef",
    is_better=False,
    reasons=("Quality of account acme fell by 0.08.",),
    utility_gain_usd=Interval(0.002, 0.001, 0.003),
    guards=(
        Guard(
            "quality, account acme", "quality", "account acme", Interval(-0.08, -0.1, -0.06), 0.02, "broken", "worse"
        ),
        Guard("latency", "latency_ms", None, None, 100.0, "unknown", "no latencies were logged"),
    ),
    n_requests=12_000,
    judged_at=datetime(2026, 11, 26, 3, tzinfo=UTC),
)


def test_a_verdict_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_verdict(tmp_path, VERDICT)
    assert read_verdict(tmp_path) == VERDICT
    assert [path.name for path in tmp_path.iterdir()] == [VERDICT_FILE]


def test_a_later_verdict_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    write_verdict(tmp_path, VERDICT)
    write_verdict(tmp_path, replace(VERDICT, is_better=True, utility_gain_usd=None))
    verdict = read_verdict(tmp_path)
    assert verdict is not None
    assert verdict.is_better
    assert verdict.utility_gain_usd is None


def test_a_bundle_that_was_never_judged_has_no_verdict(tmp_path: Path) -> None:
    assert read_verdict(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format_version", 2),
        ("judged_at", "2026-11-26T03:00:00"),
        ("judged_at", "yesterday"),
        ("is_better", "yes"),
        ("reasons", "because"),
        ("guards", [{"name": "x"}]),
        ("utility_gain_usd", 0.1),
        ("n_requests", None),
    ],
)
def test_a_malformed_verdict_is_refused_by_name(tmp_path: Path, name: str, value: object) -> None:
    path = write_verdict(tmp_path, VERDICT)
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(BundleError, match=r"verdict\.json"):
        read_verdict(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing"):
        write_verdict(tmp_path / "missing", VERDICT)
