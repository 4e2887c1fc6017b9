"""Grades an answer against the right one.

The text after the last "Answer:" is compared as a number, a letter, a word or a Python value.
"""

import ast
import re
from decimal import Decimal, InvalidOperation

from serve.jobs.calibrate.questions import Grader

_MARKED = re.compile(r"(?:final\s+)?answer\s*(?:\*\*)?\s*[:=]\s*(?:\*\*)?\s*(.+)", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\{([^{}]+)\}")
_NUMBER = re.compile(r"-?\d[\d,\s]*(?:\.\d+)?")
_LETTER = re.compile(r"\b([A-J])\b")
_ADORNMENT = " \t*_`$\"'.()[]{}\\"


def is_right(answer: str, right: str, grader: Grader) -> bool:
    """Return whether a model's whole text gives the right answer. A text without a recognisable result is wrong."""
    given = _stated(answer)
    if not given:
        return False
    if grader == "number":
        return _same_number(given, right)
    if grader == "choice":
        letter = _LETTER.search(given.upper().replace("\\TEXT", " "))
        return letter is not None and letter[1] == right
    if grader == "literal":
        return _same_value(given.strip(" *`$"), right)
    return given.strip(_ADORNMENT).casefold() == right.casefold()


def _stated(answer: str) -> str:
    """Return the result in an answer: the text after the last mark, or in the last box, or else the last line."""
    marked = _MARKED.findall(answer)
    if marked:
        return str(marked[-1]).strip()
    boxed = _BOXED.findall(answer)
    if boxed:
        return str(boxed[-1]).strip()
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _same_number(given: str, right: str) -> bool:
    numbers = _NUMBER.findall(given.replace("\\,", "").replace("−", "-"))
    try:
        return bool(numbers) and Decimal(re.sub(r"[,\s]", "", numbers[-1])) == Decimal(right)
    except InvalidOperation:
        return False


def _same_value(given: str, right: str) -> bool:
    right_value = ast.literal_eval(right)
    try:
        given_value = ast.literal_eval(given)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return bool(given == right_value)  # a text without its quotation marks
    # True is not 1 here, and 2.0 is 2.
    return bool(given_value == right_value) and isinstance(given_value, bool) == isinstance(right_value, bool)
