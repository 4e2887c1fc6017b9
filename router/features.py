"""Structural features of a request: lengths, character classes, marks of maths, code and lists, and the answer's form.

Every feature is a count over the text window, or a length that the request states (`router.answer_form`). The meaning
of all other words is left to the quality model's embedding table.
"""

import re
from collections.abc import Callable, Sequence
from math import log1p
from operator import itemgetter
from struct import Struct
from typing import Final

import numpy as np

from router.answer_form import FORM_NAMES, PART_NAMES, answer_form, part_lengths
from router.arrays import Float32s
from router.context import RouteContext

FEATURES_VERSION: Final = 3
"""Rises with every change of a feature's meaning, number or place: bundles of another version are refused."""

_CHARACTER_CLASSES: Final = {
    "digits": b"0123456789",
    "capitals": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "blanks": b" \t\r\n",
    "operators": b"+-*/=<>^%",
    "brackets": b"()[]{}",
    "vowels": b"aeiou",
    "non_ascii": bytes(range(128, 256)),
}
"""Feature -> its characters; the feature is their share of the text's bytes."""

_CHARACTERS: Final = {
    "question_marks": "?",
    "full_stops": ".",
    "commas": ",",
    "colons": ":",
    "semicolons": ";",
    "double_quotes": '"',
    "apostrophes": "'",
    "backslashes": "\\",
    "dollars": "$",
    "underscores": "_",
    "equals": "=",
    "percents": "%",
    "carets": "^",
    "braces": "{",
    "square_brackets": "[",
    "parentheses": "(",
    "pluses": "+",
    "minuses": "-",
    "asterisks": "*",
    "slashes": "/",
    "lines": "\n",
    "backticks": "`",
    "hashes": "#",
    "pipes": "|",
}
"""Feature -> its character; the feature is log(1 + count)."""

_MARKS: Final = (
    "blank_lines",
    "indented_lines",
    "long_blanks",
    "definitions",
    "returns",
    "assertions",
    "comparisons",
)
"""Features that count a mark of several characters; the feature is log(1 + count)."""

_ALL_BUT_DIGITS_BLANK = bytes(code if code in b"0123456789" else 32 for code in range(256))
_OPTION = re.compile(r"\n[ \t]*\(?[A-Ja-j][.):]")
_OPENINGS: Final = ("what", "which", "who", "how", "find", "write", "if", "a", "the", "you", "in")
"""Words that often open a request; each has an indicator."""

_LENGTHS: Final = ("characters", "window_characters", "words", "turns")
_NUMBERS: Final = ("numbers", "longest_number", "options")
_EDGES: Final = ("mean_word_length", "ends_with_question", "ends_with_stop")

FEATURE_NAMES: Final = (
    *(f"share_{name}" for name in _CHARACTER_CLASSES),
    *_EDGES,
    *(f"opens_with_{word}" for word in _OPENINGS),
    *(f"log_{name}" for name in (*_CHARACTERS, *_LENGTHS, *_NUMBERS, *_MARKS)),
    "share_cjk",
    *PART_NAMES,
    *FORM_NAMES,
)


def _entries_of(members: bytes) -> Callable[[list[int]], Sequence[int]]:
    """Return a function that picks the entries of these characters from a histogram of bytes."""
    if members == bytes(range(members[0], members[-1] + 1)):
        return itemgetter(slice(members[0], members[-1] + 1))
    return itemgetter(*members)


_ASCII_CLASSES: Final = tuple(
    _entries_of(members) for name, members in _CHARACTER_CLASSES.items() if name != "non_ascii"
)
_CHARACTERS_OF: Final = itemgetter(*map(ord, _CHARACTERS.values()))
_ROW: Final = Struct(f"{len(FEATURE_NAMES)}f")
_SHAPE: Final = (1, len(FEATURE_NAMES))
_BLANK: Final = ord(" ")
_FIRST_NON_ASCII: Final = 128
_CJK_FIRST_BYTES: Final = slice(0xE3, 0xEE)
"""Bytes with which UTF-8 begins a character of U+3000..U+DFFF: Chinese, Japanese and Korean ones."""
_DIGITS: Final = tuple(_CHARACTER_CLASSES).index("digits")
_LINES: Final = tuple(_CHARACTERS).index("lines")
_NO_LINES: Final = (0, 0, 0)
"""Numbers of options, blank lines and indented lines in a text of one line."""
_UNDERSCORES: Final = tuple(_CHARACTERS).index("underscores")
_EQUALS: Final = tuple(_CHARACTERS).index("equals")
_FULL_STOPS: Final = tuple(_CHARACTERS).index("full_stops")
_QUESTION_MARKS: Final = tuple(_CHARACTERS).index("question_marks")
_NO_OPENING: Final = (0,) * len(_OPENINGS)
_LOGS: Final = tuple(map(log1p, range(1_024)))
"""Number -> log(1 + number): looking it up takes half as long."""
_OPENING_PLACES: Final = {word: len(_CHARACTER_CLASSES) + len(_EDGES) + place for place, word in enumerate(_OPENINGS)}


def extract_features(context: RouteContext) -> Float32s:
    """Return the structural features of a request, shape (1, n_features), in the order of `FEATURE_NAMES`.

    They are finite for any text. Features named `log_…` are log(1 + count), features named `share_…` lie in 0..1.
    """
    # Plain numbers, and one array in the end: on so few numbers, a NumPy call costs more than the sum itself.
    text = context.text
    raw = text.encode("utf-8", "replace")
    n_bytes = max(len(raw), 1)
    is_ascii = len(raw) == len(text)
    histogram = np.bincount(np.frombuffer(raw, np.uint8), minlength=128 if is_ascii else 256).tolist()
    counts = [*_CHARACTERS_OF(histogram)]
    n_words = histogram[_BLANK] + counts[_LINES] + 1
    row = [sum(members(histogram)) / n_bytes for members in _ASCII_CLASSES]
    numbers = raw.translate(_ALL_BUT_DIGITS_BLANK).split() if row[_DIGITS] else ()  # runs of digits
    row.append(0.0 if is_ascii else sum(histogram[_FIRST_NON_ASCII:]) / n_bytes)
    ending = text[-8:].rstrip()[-1:]
    row += (len(text) / n_words / 10, ending == "?", ending == ".", *_NO_OPENING)
    opening = text[:16].split(maxsplit=1)
    place = _OPENING_PLACES.get(opening[0].lower()) if opening else None
    if place is not None:
        row[place] = 1
    row += _logs(counts)
    row += map(log1p, (context.prompt_characters, len(text), n_words, context.n_turns - 1))
    n_lines = counts[_LINES]
    # A mark occurs at most as often as its character. Counting a mark takes a microsecond, so that is looked at first.
    marks = [len(numbers), max(map(len, numbers)) if numbers else 0]
    marks += (len(_OPTION.findall(text)), raw.count(b"\n\n"), raw.count(b"\n    ")) if n_lines else _NO_LINES
    marks += (
        raw.count(b"____") if counts[_UNDERSCORES] else 0,
        raw.count(b"def "),
        raw.count(b"return"),
        raw.count(b"assert "),
        raw.count(b"==") if counts[_EQUALS] > 1 else 0,
    )
    row += _logs(marks)
    n_cjk = 0 if is_ascii else sum(histogram[_CJK_FIRST_BYTES])
    row.append(n_cjk / max(len(text), 1))
    row += part_lengths(text, n_lines, counts[_FULL_STOPS], counts[_QUESTION_MARKS])
    row += answer_form(text, n_cjk > 0)
    return np.ndarray(_SHAPE, np.float32, _ROW.pack(*row))


def _logs(counts: list[int]) -> list[float]:
    """Return log(1 + count) of each count."""
    try:
        return [_LOGS[count] for count in counts]
    except IndexError:
        return [*map(log1p, counts)]
