"""Grades answers: the registry of checks, and the checks that compare a stated result with the right one."""

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from serve.jobs.calibrate.answer_rules import Grader
from serve.jobs.calibrate.form_checks import is_right_csv, is_right_form, is_right_json
from serve.jobs.calibrate.program_checks import is_right_python, is_right_regex, is_right_sql
from serve.jobs.calibrate.stated_answer import stated

_NUMBER = re.compile(r"-?\d[\d,\s]*(?:\.\d+)?")
_LETTER = re.compile(r"\b([A-J])\b")
_ADORNMENT = " \t*_`$\"'.()[]{}\\"


def is_right(answer: str, right: str, grader: Grader) -> bool:
    """Return whether a model's whole text gives the right answer. A text without a recognisable result is wrong.

    Blocks, for a tenth of a second or more where code is run.

    Args:
        answer: Text of the model.
        right: Right answer, or the rule of right answers (`serve.jobs.calibrate.answer_rules`).
        grader: Name of the check.

    Raises:
        ConfinementError: The check runs code, and this system does not limit processes.
    """
    return CHECKS[grader](answer, right)


def is_right_number(answer: str, right: str) -> bool:
    """Return whether the last number of the stated result is this one."""
    numbers = _NUMBER.findall(stated(answer).replace("\\,", "").replace("−", "-"))
    try:
        return bool(numbers) and Decimal(re.sub(r"[,\s]", "", numbers[-1])) == Decimal(right)
    except InvalidOperation:
        return False


def is_right_choice(answer: str, right: str) -> bool:
    """Return whether the first single letter of the stated result is this one."""
    letter = _LETTER.search(stated(answer).upper().replace("\\TEXT", " "))
    return letter is not None and letter[1] == right


def is_right_text(answer: str, right: str) -> bool:
    """Return whether the stated result is this word, apart from case and adornment."""
    return stated(answer).strip(_ADORNMENT).casefold() == right.casefold()


def is_right_literal(answer: str, right: str) -> bool:
    """Return whether the stated result is this Python value; a text may lack its quotation marks."""
    given = stated(answer).strip(" *`$")
    right_value = ast.literal_eval(right)
    try:
        given_value = ast.literal_eval(given)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return bool(given) and bool(given == right_value)  # a text without its quotation marks
    # True is not 1 here, and 2.0 is 2.
    return bool(given_value == right_value) and isinstance(given_value, bool) == isinstance(right_value, bool)


def is_right_phrase(answer: str, right: str) -> bool:
    """Return whether the stated result is one of these phrases, apart from case, hyphens and adornment."""
    return _plain(stated(answer)) in map(_plain, json.loads(right))


def _plain(phrase: str) -> str:
    text = unicodedata.normalize("NFC", phrase.strip(_ADORNMENT + "«»“”„’‘,;:!")).casefold()
    return " ".join(re.sub(r"[-‐‑–]", " ", text.replace("’", "'")).split())


CHECKS: Mapping[Grader, Callable[[str, str], bool]] = {
    "number": is_right_number,
    "choice": is_right_choice,
    "text": is_right_text,
    "literal": is_right_literal,
    "phrase": is_right_phrase,
    "json": is_right_json,
    "csv": is_right_csv,
    "form": is_right_form,
    "python": is_right_python,
    "regex": is_right_regex,
    "sql": is_right_sql,
}
"""Name of each check -> its function: whether a whole answer is right by the `answer` of the question."""
