"""The questions of a calibration. Each has one right answer that a program can recognise."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from serve.errors import ConfigurationError

Grader = Literal["number", "choice", "text", "literal"]


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Args:
        id: Unique id.
        kind: Subject, for reports.
        grader: Way in which answers are compared; see `serve.jobs.calibrate.grading`.
        prompt: Text that is sent.
        answer: Right answer.
    """

    id: str
    kind: str
    grader: Grader
    prompt: str
    answer: str


def load_questions(path: Path) -> list[Question]:
    """Read a JSON Lines file with one question in each line.

    Raises:
        ConfigurationError: The file cannot be read, a line is malformed, or two lines have the same id.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem.strerror}. Name another file.") from None
    questions = []
    for number, line in enumerate(lines, start=1):
        try:
            questions.append(msgspec.json.decode(line, type=Question))
        except msgspec.MsgspecError as problem:
            raise ConfigurationError(
                f"{path}, line {number}: {problem}. Each line needs id, kind, grader, prompt and answer."
            ) from None
    ids = [question.id for question in questions]
    if len(set(ids)) != len(ids):
        twice = next(question_id for question_id in ids if ids.count(question_id) > 1)
        raise ConfigurationError(f"{path}: two lines have the id {twice!r}. Give each question its own id.")
    if not questions:
        raise ConfigurationError(f"{path} has no questions. Add at least one line.")
    return questions
