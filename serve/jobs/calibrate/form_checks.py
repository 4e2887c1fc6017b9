"""Checks answers that are data or must have a form: JSON, CSV, lists, numbers of words."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from serve.jobs.calibrate.answer_rules import FormRule, TableRule
from serve.jobs.calibrate.stated_answer import without_fence

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)]*(?=\s|$)")
_BULLET = re.compile(r"[-*•]\s+(?=\S)")
_NUMBERED = re.compile(r"(\d+)[.)]\s+(?=\S)")


def is_right_json(answer: str, right: str) -> bool:
    """Return whether the whole answer is JSON with exactly this value. The order of keys does not count."""
    try:
        given = json.loads(without_fence(answer), object_pairs_hook=_once)
    except ValueError:
        return False
    return _is_same(given, json.loads(right))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _is_same(given: Any, right: Any) -> bool:
    """Return whether two JSON values are equal; true is not 1, and 2.0 is 2."""
    if isinstance(right, dict):
        return (
            isinstance(given, dict)
            and given.keys() == right.keys()
            and all(_is_same(given[key], value) for key, value in right.items())
        )
    if isinstance(right, list):
        return isinstance(given, list) and len(given) == len(right) and all(map(_is_same, given, right))
    return isinstance(given, bool) == isinstance(right, bool) and bool(given == right)


def is_right_csv(answer: str, right: str) -> bool:
    """Return whether the whole answer is CSV with exactly these rows."""
    rule = msgspec.json.decode(right, type=TableRule)
    try:
        rows = list(csv.reader(io.StringIO(without_fence(answer).strip()), strict=True))
    except csv.Error:
        return False
    return [tuple(cell.strip() for cell in row) for row in rows] == list(rule.rows)


def is_right_form(answer: str, right: str) -> bool:
    """Return whether the whole answer has a form. An answer without any word has none."""
    rule = msgspec.json.decode(right, type=FormRule)
    text = without_fence(answer).strip()
    if not _WORD.search(text):
        return False
    wanted = {name: value for name in rule.__struct_fields__ if (value := getattr(rule, name)) is not None}
    return all(_FORM_CHECKS[name](text, value) for name, value in wanted.items())


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _items(text: str) -> list[str]:
    return [_NUMBERED.sub("", _BULLET.sub("", line, count=1), count=1).strip() for line in _lines(text)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _has_sentences(text: str, count: int) -> bool:
    ends = [end.end() for end in _SENTENCE_END.finditer(text)]
    return len(ends) == count and ends[-1] == len(text)


def _is_bulleted(text: str, count: int) -> bool:
    lines = _lines(text)
    return len(lines) == count and all(_BULLET.match(line) for line in lines)


def _is_numbered(text: str, count: int) -> bool:
    numbers = [_NUMBERED.match(line) for line in _lines(text)]
    return [number and int(number[1]) for number in numbers] == list(range(1, count + 1))


def _has_words(text: str, words: tuple[str, ...]) -> bool:
    present = {word.casefold() for word in _words(text)}
    return all(word.casefold() in present for word in words)


_FORM_CHECKS: Mapping[str, Callable[[str, Any], bool]] = {
    "words": lambda text, count: len(_words(text)) == count,
    "sentences": _has_sentences,
    "lines": lambda text, count: len(_lines(text)) == count,
    "bullets": _is_bulleted,
    "numbered": _is_numbered,
    "items": lambda text, items: _items(text) == list(items),
    "has": _has_words,
    "lacks": lambda text, letters: not set(letters.casefold()) & set(text.casefold()),
    "starts": lambda text, word: _words(text)[0].casefold() == word.casefold(),
    "ends": lambda text, word: _words(text)[-1].casefold() == word.casefold(),
    "initials": lambda text, letters: "".join(item[:1] for item in _items(text)).casefold() == letters.casefold(),
    "case": lambda text, case: text == (text.upper() if case == "upper" else text.lower()),
    "longest_line_words": lambda text, count: all(len(_words(line)) <= count for line in _lines(text)),
}
