"""Errors of training.

TrainingError
├── CorpusError      a corpus or prompts file cannot be used           (whoever made the file mends)
├── TelemetryError   a telemetry export cannot be used                 (whoever made the export mends)
├── SettingsError    options contradict each other or are out of range (caller mends)
└── ParityError      the exported graph differs from the estimator     (we mend)
"""

from pathlib import Path
from typing import Any


class TrainingError(Exception):
    """Base of all errors of this package; never raised itself. Comes back whole from another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), str(self), self.__dict__)


def _restored(kind: type[TrainingError], message: str, attributes: dict[str, Any]) -> TrainingError:
    error = kind.__new__(kind, message)
    error.__dict__.update(attributes)
    return error


class CorpusError(TrainingError):
    """A file of a corpus is missing, malformed or contradicts itself.

    Args:
        path: The file at fault.
        problem: What is wrong there.
        mend: What to do about it.
        row: Zero-based row of the first offence; None: the whole file.
    """

    def __init__(self, path: Path, problem: str, mend: str, row: int | None = None) -> None:
        place = f"{path}" if row is None else f"{path}, row {row}"
        super().__init__(" ".join(f"{place}: {problem}: {mend}".split()))
        self.path = path
        self.row = row


class TelemetryError(TrainingError):
    """A telemetry export is missing, damaged or newer than this program.

    Args:
        path: The folder or file at fault.
        problem: What is wrong there.
        mend: What to do about it.
    """

    def __init__(self, path: Path, problem: str, mend: str) -> None:
        super().__init__(" ".join(f"{path}: {problem}: {mend}".split()))
        self.path = path


class SettingsError(TrainingError):
    """Options that cannot be followed; the message names the option and the mend."""


class ParityError(TrainingError):
    """The ONNX graph and the fitted estimator disagree by more than the stated tolerance."""
