"""Graded answers are kept one by one, and the state of their folder tells every change."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serve.bundles.calibration_file import CalibrationAnswer, calibrations_state, keep_answer, read_calibrations
from serve.errors import ConfigurationError

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def answer(question_id: str, score: float) -> CalibrationAnswer:
    return CalibrationAnswer(question_id, "units", "How long?", score, 7)


def keep(folder: Path, question_id: str, score: float) -> None:
    keep_answer(folder, "vendor/model", "mine/model", NOON, answer(question_id, score))


def test_answers_add_up_and_a_question_has_one_answer(tmp_path: Path) -> None:
    keep(tmp_path, "a", 1)
    keep(tmp_path, "b", 0)
    keep(tmp_path, "a", 0)
    (calibration,) = read_calibrations(tmp_path)
    assert calibration.answers == (answer("b", 0), answer("a", 0))
    assert calibration.asked_at == NOON


def test_a_malformed_file_is_not_overwritten(tmp_path: Path) -> None:
    keep(tmp_path, "a", 1)
    (path,) = tmp_path.iterdir()
    path.write_text("{")
    with pytest.raises(ConfigurationError, match="is no calibration"):
        keep(tmp_path, "b", 1)
    assert path.read_text() == "{"


def test_the_state_changes_with_every_file(tmp_path: Path) -> None:
    states = [calibrations_state(tmp_path / "absent"), calibrations_state(tmp_path)]
    assert states == [(), ()]
    keep(tmp_path, "a", 1)
    states.append(calibrations_state(tmp_path))
    keep(tmp_path, "a", 0)  # as long as before
    states.append(calibrations_state(tmp_path))
    assert len(set(states)) == 3
    (path,) = tmp_path.iterdir()
    path.unlink()
    assert calibrations_state(tmp_path) == ()
