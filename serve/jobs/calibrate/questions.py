"""The questions of a calibration. Each has one right answer that a program can recognise."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from serve.errors import ConfigurationError
from serve.jobs.calibrate.answer_rules import RUNS_CODE, Grader, check_rule
from serve.jobs.calibrate.confinement import why_not_confined


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Args:
        id: Unique id.
        kind: Subject, for reports.
        grader: Way in which answers are compared; see `serve.jobs.calibrate.grading`.
        prompt: Text that is sent.
        answer: Right answer, or the rule of right answers; see `serve.jobs.calibrate.answer_rules`.
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
            question = msgspec.json.decode(line, type=Question)
            check_rule(question.grader, question.answer)
        except msgspec.MsgspecError as problem:
            raise ConfigurationError(
                f"{path}, line {number}: {problem}. Each line needs id, kind, grader, prompt and answer."
            ) from None
        questions.append(question)
    ids = [question.id for question in questions]
    if len(set(ids)) != len(ids):
        twice = next(question_id for question_id in ids if ids.count(question_id) > 1)
        raise ConfigurationError(f"{path}: two lines have the id {twice!r}. Give each question its own id.")
    if not questions:
        raise ConfigurationError(f"{path} has no questions. Add at least one line.")
    return questions


def gradable_questions(path: Path) -> tuple[list[Question], str]:
    """Read the questions that can be graded on this system. Blocks.

    Returns:
        The questions, and the reason why those that run code were left out; it is empty if none were.

    Raises:
        ConfigurationError: As `load_questions`; or no question can be graded here.
    """
    questions = load_questions(path)
    running = [question for question in questions if question.grader in RUNS_CODE]
    if not running or (reason := why_not_confined()) is None:
        return questions, ""
    if len(running) == len(questions):
        raise ConfigurationError(
            f"{path}: every question runs code that a model wrote, and this system cannot limit that ({reason}). "
            "Add other questions, or calibrate on Linux."
        )
    kept = [question for question in questions if question.grader not in RUNS_CODE]
    return kept, f"{len(running)} questions run code that a model wrote, and this system cannot limit that: {reason}"
