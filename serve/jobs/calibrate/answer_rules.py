"""The rules that say which answers are right, as they stand in the `answer` of a question. Wire formats only."""

from typing import Literal

import msgspec

Grader = Literal["number", "choice", "text", "literal", "phrase", "json", "csv", "form", "python", "regex", "sql"]
RUNS_CODE: frozenset[Grader] = frozenset({"python", "regex", "sql"})
"""Graders that run what the model wrote; they need a system that limits processes."""


class TableRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of a CSV file, the header first."""

    rows: tuple[tuple[str, ...], ...]


class FormRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the whole answer must look like. A field that is absent is not checked.

    - `words`, `sentences`, `lines`: exact numbers. Empty lines do not count.
    - `bullets`, `numbered`: number of lines; each line is a bullet, or they are numbered from 1.
    - `items`: content of the lines, without bullets and numbers, in this order.
    - `has`, `lacks`: words that occur; letters that do not occur.
    - `starts`, `ends`: first and last word.
    - `initials`: first letters of the lines.
    - `case`: `upper` or `lower`.
    - `longest_line_words`: most words in a line.
    """

    words: int | None = None
    sentences: int | None = None
    lines: int | None = None
    bullets: int | None = None
    numbered: int | None = None
    items: tuple[str, ...] | None = None
    has: tuple[str, ...] | None = None
    lacks: str | None = None
    starts: str | None = None
    ends: str | None = None
    initials: str | None = None
    case: Literal["upper", "lower"] | None = None
    longest_line_words: int | None = None


class PythonRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function and its right results: pairs of arguments and result, both as Python literals in text."""

    function: str
    cases: tuple[tuple[str, str], ...]


class RegexRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts that a pattern must match as a whole, and texts that it must not."""

    matches: tuple[str, ...]
    misses: tuple[str, ...]


class SqlRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A database, as a script of SQLite, and the right rows. Their order counts if `is_ordered`."""

    schema: str
    rows: tuple[tuple[str | int | float | None, ...], ...]
    is_ordered: bool


_RULES: dict[Grader, type] = {
    "phrase": tuple[str, ...],
    "csv": TableRule,
    "form": FormRule,
    "python": PythonRule,
    "regex": RegexRule,
    "sql": SqlRule,
}


def check_rule(grader: Grader, answer: str) -> None:
    """Check that an `answer` has the form that its grader reads.

    Raises:
        msgspec.MsgspecError: It has not.
    """
    if grader in _RULES:
        msgspec.json.decode(answer, type=_RULES[grader])
    elif grader == "json":
        msgspec.json.decode(answer)
