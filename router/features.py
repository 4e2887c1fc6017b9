"""Structural features of a request: lengths, character classes, marks of maths, code and lists, and the answer's form.

Every feature is a count over the text window, or a length that the request states (`router.answer_form`). The meaning
of all other words is left to the quality model's embedding table.
"""

import re
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

_MARKS: Final = {
    "blank_lines": "\n\n",
    "indented_lines": "\n    ",
    "long_blanks": "____",
    "definitions": "def ",
    "returns": "return",
    "assertions": "assert ",
    "comparisons": "==",
}
"""Feature -> its mark; the feature is log(1 + count)."""

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

_ASCII_CLASSES: Final = tuple(
    itemgetter(*members) for name, members in _CHARACTER_CLASSES.items() if name != "non_ascii"
)
_CHARACTERS_OF: Final = itemgetter(*map(ord, _CHARACTERS.values()))
_ROW: Final = Struct(f"{len(FEATURE_NAMES)}f")
_BLANK: Final = ord(" ")
_FIRST_NON_ASCII: Final = 128
_CJK_FIRST_BYTES: Final = slice(0xE3, 0xEE)
"""Bytes with which UTF-8 begins a character of U+3000..U+DFFF: Chinese, Japanese and Korean ones."""
_LINES: Final = tuple(_CHARACTERS).index("lines")
_NO_LINES: Final = (0, 0, 0)
"""Numbers of options, blank lines and indented lines in a text of one line."""
_WORD_MARKS: Final = tuple(mark.encode() for mark in _MARKS.values() if not mark.startswith("\n"))
_NO_OPENING: Final = (0,) * len(_OPENINGS)
_OPENING_PLACES: Final = {word: len(_CHARACTER_CLASSES) + len(_EDGES) + place for place, word in enumerate(_OPENINGS)}


def extract_features(context: RouteContext) -> Float32s:
    """Return the structural features of a request, shape (1, n_features), in the order of `FEATURE_NAMES`.

    They are finite for any text. Features named `log_…` are log(1 + count), features named `share_…` lie in 0..1.
    """
    # Plain numbers, and one array in the end: on so few numbers, a NumPy call costs more than the sum itself.
    text = context.text
    raw = text.encode("utf-8", "replace")
    n_bytes = max(len(raw), 1)
    histogram = np.bincount(np.frombuffer(raw, np.uint8), minlength=256).tolist()
    counts = [*_CHARACTERS_OF(histogram)]
    n_words = histogram[_BLANK] + counts[_LINES] + 1
    numbers = raw.translate(_ALL_BUT_DIGITS_BLANK).split()  # runs of digits
    row = [sum(members(histogram)) / n_bytes for members in _ASCII_CLASSES]
    row.append(0.0 if len(raw) == len(text) else sum(histogram[_FIRST_NON_ASCII:]) / n_bytes)
    ending = text[-8:].rstrip()[-1:]
    row += (len(text) / n_words / 10, ending == "?", ending == ".", *_NO_OPENING)
    opening = text[:16].split(maxsplit=1)
    place = _OPENING_PLACES.get(opening[0].lower()) if opening else None
    if place is not None:
        row[place] = 1
    counts += (
        context.prompt_characters,
        len(text),
        n_words,
        context.n_turns - 1,
        len(numbers),
        max(map(len, numbers), default=0),
    )
    if counts[_LINES]:
        counts += (len(_OPTION.findall(text)), raw.count(b"\n\n"), raw.count(b"\n    "))
    else:
        counts += _NO_LINES
    counts += map(raw.count, _WORD_MARKS)
    row += map(log1p, counts)
    n_cjk = 0 if len(raw) == len(text) else sum(histogram[_CJK_FIRST_BYTES])
    row.append(n_cjk / max(len(text), 1))
    row += part_lengths(text)
    row += answer_form(text, n_cjk > 0)
    return np.frombuffer(_ROW.pack(*row), np.float32).reshape(1, -1)
