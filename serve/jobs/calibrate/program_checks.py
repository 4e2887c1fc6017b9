"""Checks answers that are code: Python functions, patterns, queries. They run in a process without rights."""

import ast

import msgspec

from serve.jobs.calibrate.answer_rules import PythonRule, RegexRule, SqlRule
from serve.jobs.calibrate.confinement import PythonTask, RegexTask, SqlTask, run_confined
from serve.jobs.calibrate.stated_answer import last_code, stated

_TOLERANCE = 1e-6


def is_right_python(answer: str, right: str) -> bool:
    """Return whether the last code block defines the function, and it returns the right result in every case."""
    rule = msgspec.json.decode(right, type=PythonRule)
    calls = tuple(arguments for arguments, _ in rule.cases)
    results = run_confined(PythonTask(last_code(answer), rule.function, calls))
    if results is None or len(results) != len(rule.cases):
        return False
    return all(_is_value(given, result) for given, (_, result) in zip(results, rule.cases, strict=True))


def _is_value(given: object, right: str) -> bool:
    """Return whether a result, as text, has the right value and type; a list is no tuple, and True is not 1."""
    right_value = ast.literal_eval(right)
    if not isinstance(given, str):
        return False  # the call failed
    try:
        value = ast.literal_eval(given)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    if type(value) is not type(right_value):
        return False
    if isinstance(value, float) and isinstance(right_value, float):
        return bool(abs(value - right_value) <= _TOLERANCE * max(1.0, abs(right_value)))
    return repr(value) == repr(right_value) if not isinstance(value, dict | set) else bool(value == right_value)


def is_right_regex(answer: str, right: str) -> bool:
    """Return whether the stated pattern matches all that it must and nothing else."""
    rule = msgspec.json.decode(right, type=RegexRule)
    results = run_confined(RegexTask(_pattern(answer), rule.matches + rule.misses))
    return results == [True] * len(rule.matches) + [False] * len(rule.misses)


def _pattern(answer: str) -> str:
    given = stated(answer).strip()
    if given.startswith("```") or given.endswith("```"):
        given = last_code(answer).strip()
    given = given.removesuffix("**").strip()
    is_quoted = len(given) > 2 and given[0] == given[-1] == "`"
    if is_quoted:
        given = given.strip("`").strip()
    if len(given) > 3 and given[0] == "r" and given[1] == given[-1] and given[1] in "'\"":
        return given[2:-1]
    if not is_quoted and len(given) > 2 and given[0] == given[-1] and given[0] in "'\"/":
        return given[1:-1]
    return given


def is_right_sql(answer: str, right: str) -> bool:
    """Return whether the last code block is a query that returns the right rows."""
    rule = msgspec.json.decode(right, type=SqlRule)
    results = run_confined(SqlTask(rule.schema, last_code(answer)))
    if results is None:
        return False
    given, rows = [_shown_row(row) for row in results], [_shown_row(row) for row in rule.rows]
    return given == rows if rule.is_ordered else sorted(given) == sorted(rows)


def _shown_row(row: object) -> tuple[str, ...]:
    """Return a row as text that compares: 2.0 is 2, and figures count to six digits after the point."""
    cells = row if isinstance(row, list | tuple) else ()
    return tuple(f"{cell:.6f}" if isinstance(cell, int | float) else repr(cell) for cell in cells)
