"""A question before it gets its number: how answers are checked, the text, and a right answer."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

Grader = Literal["number", "choice", "text", "literal", "phrase", "json", "csv", "form", "python", "regex", "sql"]
"""Way in which answers are checked; `serve.jobs.calibrate.grading` has one function for each."""
_ASK = "\n\nThink as long as you need. Then write the answer on a line of its own, as in\nAnswer: {form}"
_FORMS: dict[Grader, str] = {
    "number": "42",
    "choice": "B",
    "text": "word",
    "literal": "[1, 'a']",
    "phrase": "a few words",
    "regex": "[a-z]+",
}


class Question(TypedDict):
    """One line of the file."""

    id: str
    kind: str
    grader: Grader
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A question without its id.

    Args:
        grader: Way in which answers are checked.
        prompt: Text that is sent.
        answer: Right answer, or the rule of right answers as JSON.
        solution: Whole answer that is right. It is in no file; tests prove with it that the question can be solved.
    """

    grader: Grader
    prompt: str
    answer: str
    solution: str


Make = Callable[[random.Random, int], Draft]
"""Makes a question of a level, 0 (easy) to 9."""


def stated(grader: Grader, question: str, answer: object, solution: str | None = None) -> Draft:
    """Return a question whose answer stands on a line of its own, after any reasoning.

    Args:
        grader: Way in which answers are checked.
        question: The question.
        answer: Right answer, or the rule as JSON values for the graders `phrase` and `regex`.
        solution: Right answer in words; None: the first phrase, or the answer itself.
    """
    rule = json.dumps(answer, ensure_ascii=False) if isinstance(answer, list | dict) else shown(answer)
    if solution is None:
        solution = str(answer[0]) if isinstance(answer, list) else rule
    return Draft(grader, question + _ASK.format(form=_FORMS[grader]), rule, f"Answer: {solution}")


def whole(grader: Grader, question: str, rule: object, solution: str) -> Draft:
    """Return a question whose whole answer is checked.

    Args:
        grader: Way in which answers are checked.
        question: The question; it says that nothing but the answer is wanted.
        rule: Rule of right answers, as JSON values.
        solution: Whole answer that is right.
    """
    return Draft(grader, question, json.dumps(rule, ensure_ascii=False), solution)


def shown(answer: object) -> str:
    """Return an answer as text; a float without needless digits."""
    return f"{answer:g}" if isinstance(answer, float) else str(answer)


def listed(items: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def markdown_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows with the same keys as a table of Markdown."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([str(row[name]) for name in head] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
