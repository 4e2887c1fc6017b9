"""Errors of training.

TrainingError
├── CorpusError      a corpus or prompts file cannot be used           (the author of the file must act)
├── TelemetryError   a telemetry export cannot be used                 (the operator who exported it must act)
├── SettingsError    options contradict each other or are out of range (the caller must act)
└── ParityError      the exported graph differs from the estimator     (the maintainers must act)
"""

from pathlib import Path
from typing import Any


class TrainingError(Exception):
    """Base of all errors of this package; never raised itself. It survives pickling between processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), str(self), self.__dict__)


def _restored(kind: type[TrainingError], message: str, attributes: dict[str, Any]) -> TrainingError:
    error = kind.__new__(kind, message)
    error.__dict__.update(attributes)
    return error


class CorpusError(TrainingError):
    """A file of a corpus is missing, malformed or contradicts itself.

    Args:
        path: File with the error.
        problem: Description of what is wrong.
        fix: Advice on what to do.
        row: Zero-based number of the first bad row; None: the whole file.
    """

    def __init__(self, path: Path, problem: str, fix: str, row: int | None = None) -> None:
        place = f"{path}" if row is None else f"{path}, row {row}"
        super().__init__(" ".join(f"{place}: {problem}: {fix}".split()))
        self.path = path
        self.row = row


class TelemetryError(TrainingError):
    """A telemetry export is missing, damaged or newer than this program.

    Args:
        path: Folder or file with the error.
        problem: Description of what is wrong.
        fix: Advice on what to do.
    """

    def __init__(self, path: Path, problem: str, fix: str) -> None:
        super().__init__(" ".join(f"{path}: {problem}: {fix}".split()))
        self.path = path


class SettingsError(TrainingError):
    """Options that cannot be followed; the message names the option and the fix."""


class ParityError(TrainingError):
    """The ONNX graph and the fitted estimator disagree by more than the stated tolerance."""
