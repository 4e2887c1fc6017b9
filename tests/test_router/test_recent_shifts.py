"""The file in a bundle with the shifts that the watch starts from."""

from pathlib import Path

import numpy as np
import pytest

from router.errors import BundleError
from router.lane_correction import DAY_S, Judged, LaneCorrection, ShiftPrior
from router.recent_shifts import RecentShifts

LANE, MODEL = "first/llama", "meta/llama"


def disappointed(n_answers: int) -> RecentShifts:
    correction = LaneCorrection()
    for number in range(n_answers):
        correction.learn(Judged(LANE, MODEL, 0.9, 0.0, 0.0, 60.0 * number))
    return RecentShifts("base+12345678", correction)


def test_what_is_read_is_what_was_written_and_equal_shifts_are_equal_bytes(tmp_path: Path) -> None:
    recent = disappointed(20)
    path = tmp_path / "recent_shifts.json"
    path.write_bytes(recent.to_bytes())

    again = RecentShifts.read(path)

    assert again.bundle_version == "base+12345678"
    assert again.to_bytes() == recent.to_bytes() == disappointed(20).to_bytes()
    assert again.correction.shift_of(LANE, MODEL) == pytest.approx(recent.correction.shift_of(LANE, MODEL), abs=1e-6)
    assert again.correction.shift_of(LANE, MODEL)[0] < -0.5


def test_a_beginning_goes_on_by_the_prior_of_who_reads_it_and_leaves_the_file_alone() -> None:
    recent = disappointed(20)
    before = recent.to_bytes()
    quick = recent.of(ShiftPrior(half_life_s=DAY_S / 24, max_shift=0.25))
    assert quick.shift_of(LANE, MODEL)[0] == -0.25
    quick.advance(DAY_S)
    assert abs(quick.shift_of(LANE, MODEL)[0]) < 0.01
    assert recent.to_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"bundle_version": "x"}',
        b'{"bundle_version": "x", "at_s": 1, "names": ["common"], "mean": [], "covariance": [[1]]}',
    ],
)
def test_a_file_of_another_form_is_refused_and_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recent_shifts.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"recent_shifts\.json: holds no shifts of lanes .*retrain again"):
        RecentShifts.read(path)


def test_a_file_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        RecentShifts.read(tmp_path / "none.json")


def test_a_bundle_without_judged_answers_begins_without_shifts(tmp_path: Path) -> None:
    path = tmp_path / "recent_shifts.json"
    path.write_bytes(RecentShifts("base+12345678", LaneCorrection()).to_bytes())
    correction = RecentShifts.read(path).of(ShiftPrior())
    assert correction.shift_of(LANE, MODEL) == pytest.approx((0.0, np.hypot(0.57, 0.57)))
