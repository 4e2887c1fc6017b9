"""The questions that models are calibrated with: each has one right answer that a program can recognise."""

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
        id: Unique.
        kind: What it is about, for reports.
        grader: How answers are compared; see `serve.jobs.calibrate.grading`.
        prompt: What is sent.
        answer: The right one.
    """

    id: str
    kind: str
    grader: Grader
    prompt: str
    answer: str


def load_questions(path: Path) -> list[Question]:
    """Read a JSON Lines file with one question a line.

    Raises:
        ConfigurationError: It cannot be read, a line is malformed, or two lines have the same id; names the line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read ({problem.strerror})") from None
    questions = []
    for number, line in enumerate(lines, start=1):
        try:
            questions.append(msgspec.json.decode(line, type=Question))
        except msgspec.MsgspecError as problem:
            raise ConfigurationError(
                f"{path}, line {number}: {problem}; a line has id, kind, grader, prompt and answer"
            ) from None
    ids = [question.id for question in questions]
    if len(set(ids)) != len(ids):
        twice = next(question_id for question_id in ids if ids.count(question_id) > 1)
        raise ConfigurationError(f"{path}: the id {twice!r} is there twice")
    if not questions:
        raise ConfigurationError(f"{path}: has no question")
    return questions
