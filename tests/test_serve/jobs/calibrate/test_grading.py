"""Answers are graded as a person would grade them who sees only the result."""

import pytest

from serve.jobs.calibrate.grading import is_right
from serve.jobs.calibrate.questions import Grader

RIGHT: list[tuple[Grader, str, str]] = [
    ("number", "First 3 pens... so 12.\nAnswer: 12", "12"),
    ("number", "**Answer:** $1,250.00", "1250"),
    ("number", "The final answer is \\boxed{-7}", "-7"),
    ("number", "Answer: 3\nWait, no.\nAnswer: 4", "4"),
    ("number", "Answer: −5", "-5"),
    ("number", "12.50", "12.5"),
    ("choice", "Answer: B", "B"),
    ("choice", "Answer: **(B)** Mars", "B"),
    ("choice", "Answer: \\text{C}", "C"),
    ("text", "Answer: Tuesday.", "Tuesday"),
    ("text", "answer: `yrrebwarts`", "yrrebwarts"),
    ("literal", "Answer: [1,2, 'a']", "[1, 2, 'a']"),
    ("literal", "Answer: `('x', 3)`", "('x', 3)"),
    ("literal", "Answer: abc", "'abc'"),
    ("literal", "Answer: {'b': 2, 'a': 1}", "{'a': 1, 'b': 2}"),
]
WRONG: list[tuple[Grader, str, str]] = [
    ("number", "", "12"),
    ("number", "I cannot say.", "12"),
    ("number", "Answer: twelve", "12"),
    ("number", "Answer: 120", "12"),
    ("choice", "Answer: D", "B"),
    ("choice", "Answer: none of them", "A"),
    ("text", "Answer: Wednesday", "Tuesday"),
    ("literal", "Answer: [1, 2", "[1, 2]"),
    ("literal", "Answer: True", "1"),
    ("literal", "Answer: __import__('os').getcwd()", "'x'"),
]


@pytest.mark.parametrize(("grader", "answer", "right"), RIGHT)
def test_right_answers_are_recognised(grader: Grader, answer: str, right: str) -> None:
    assert is_right(answer, right, grader)


@pytest.mark.parametrize(("grader", "answer", "right"), WRONG)
def test_wrong_answers_are_not_taken_for_right(grader: Grader, answer: str, right: str) -> None:
    assert not is_right(answer, right, grader)
