"""The file that calibration leaves on disk: the graded answers of one model.

It has the answers, not the conclusions from them, so that a new bundle can draw its own.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from serve.errors import ConfigurationError
from serve.settings import default_database_file

FORMAT_VERSION = 1
_SUFFIX = ".json"

CalibrationsState = tuple[tuple[str, int, int, int], ...]
"""Name, time of the last change in nanoseconds, bytes and inode of each file, in order of their names."""


class CalibrationAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One graded answer. `score` is 0..1; `completion_tokens` is None if the provider does not say."""

    question_id: str
    kind: str
    prompt: str
    score: float
    completion_tokens: int | None


class CalibrationFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The graded answers of one model, asked on one lane.

    `vendor_model` has `@effort` at the end if the lane sets an effort. Without it, the provider's default was asked.
    """

    format_version: int
    vendor_model: str
    lane_id: str
    asked_at: datetime
    answers: tuple[CalibrationAnswer, ...]


def calibrations_folder(setting: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of calibrations: that of the settings, else `calibrations` next to the default database."""
    return Path(setting) if setting else default_database_file(environment).parent / "calibrations"


def calibration_path(folder: Path, vendor_model: str) -> Path:
    """Return the file of a model's answers."""
    return folder / (re.sub(r"[^A-Za-z0-9._-]", "--", vendor_model) + _SUFFIX)


def write_calibration(folder: Path, calibration: CalibrationFile) -> Path:
    """Write the file in one step, in place of an earlier one, and return its path.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    path = calibration_path(folder, calibration.vendor_model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n")
        os.replace(file.name, path)
    except OSError as problem:
        raise ConfigurationError(
            f"{path}: cannot be written ({problem.strerror}): set `calibrations` to another folder"
        ) from problem
    return path


def keep_answer(folder: Path, vendor_model: str, lane_id: str, asked_at: datetime, answer: CalibrationAnswer) -> None:
    """Add an answer to the file of a model, next to those that it has. An answer to the same question is replaced.

    Raises:
        ConfigurationError: The file is malformed, or the folder cannot be written.
    """
    path = calibration_path(folder, vendor_model)
    earlier = _read(path).answers if path.exists() else ()
    kept = tuple(each for each in earlier if each.question_id != answer.question_id)
    write_calibration(folder, CalibrationFile(FORMAT_VERSION, vendor_model, lane_id, asked_at, (*kept, answer)))


def calibrations_state(folder: Path) -> CalibrationsState:
    """Return what tells that a file of a folder was added, changed or removed; empty if there is no such folder."""
    state = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            stat = path.stat()
        except OSError:  # removed since the folder was listed
            continue
        state.append((path.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(state)


def read_calibrations(folder: Path) -> list[CalibrationFile]:
    """Return all calibrations in a folder, in order of their names; none if there is no such folder.

    Raises:
        ConfigurationError: A file is malformed or of another format.
    """
    return [_read(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]


def _read(path: Path) -> CalibrationFile:
    try:
        calibration = msgspec.json.decode(path.read_bytes(), type=CalibrationFile)
    except (OSError, msgspec.MsgspecError) as problem:
        raise ConfigurationError(
            f"{path}: is no calibration ({problem}): run llmdeal calibrate again or remove it"
        ) from problem
    if calibration.format_version != FORMAT_VERSION:
        raise ConfigurationError(
            f"{path}: has format {calibration.format_version}, this program reads {FORMAT_VERSION}: "
            "run llmdeal calibrate again"
        )
    return calibration
