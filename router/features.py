"""Structural features of a request: lengths, character classes, and counts of marks that betray maths, code, lists and options.

Everything is a count over the text window; what the words mean is left to the quality model's embedding table.
"""

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from router.context import RouteContext

Float32s = npt.NDArray[np.float32]

FEATURES_VERSION: Final = 2
"""A step for any change of a feature's meaning, number or place: bundles of another version are refused."""

_CHARACTER_CLASSES: Final = {
    "digits": b"0123456789",
    "capitals": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "blanks": b" \t\r\n",
    "operators": b"+-*/=<>^%",
    "brackets": b"()[]{}",
    "vowels": b"aeiou",
    "non_ascii": bytes(range(128, 256)),
}
"""Each as its share of the text's bytes."""

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
"""Each as log(1 + count)."""

_MARKS: Final = {
    "blank_lines": "\n\n",
    "indented_lines": "\n    ",
    "long_blanks": "____",
    "definitions": "def ",
    "returns": "return",
    "assertions": "assert ",
    "comparisons": "==",
}
"""Each as log(1 + count)."""

_ALL_BUT_DIGITS_BLANK = bytes(code if code in b"0123456789" else 32 for code in range(256))
_OPTION = re.compile(r"\n[ \t]*\(?[A-Ja-j][.):]")
_OPENINGS: Final = ("what", "which", "who", "how", "find", "write", "if", "a", "the", "you", "in")
"""First words that open many requests; one indicator each."""

_LENGTHS: Final = ("characters", "window_characters", "words", "turns")
_NUMBERS: Final = ("numbers", "longest_number", "options")
_EDGES: Final = ("mean_word_length", "ends_with_question", "ends_with_stop")

FEATURE_NAMES: Final = (
    *(f"share_{name}" for name in _CHARACTER_CLASSES),
    *_EDGES,
    *(f"opens_with_{word}" for word in _OPENINGS),
    *(f"log_{name}" for name in (*_CHARACTERS, *_LENGTHS, *_NUMBERS, *_MARKS)),
)

_CLASS_TABLE: Final = np.array(
    [np.isin(np.arange(256), np.frombuffer(members, np.uint8)) for members in _CHARACTER_CLASSES.values()], np.float32
)  # (n_classes, 256)
_CHARACTER_CODES: Final = np.array([ord(character) for character in _CHARACTERS.values()])
_MARK_TEXTS: Final = tuple(_MARKS.values())
_OPENING_PLACES: Final = {word: len(_CHARACTER_CLASSES) + len(_EDGES) + place for place, word in enumerate(_OPENINGS)}
_FIRST_EDGE: Final = len(_CHARACTER_CLASSES)
_FIRST_COUNT: Final = _FIRST_EDGE + len(_EDGES) + len(_OPENINGS)
_FIRST_LENGTH: Final = _FIRST_COUNT + len(_CHARACTERS)


def extract_features(context: RouteContext) -> Float32s:
    """Return the structural features of a request, shape (1, n_features), in the order of `FEATURE_NAMES`.

    Finite for any text. Names that begin with `log_` hold log(1 + count), those that begin with `share_` lie in 0..1.
    """
    text = context.text
    raw = text.encode("utf-8", "replace")
    histogram = np.bincount(np.frombuffer(raw, np.uint8), minlength=256).astype(np.float32)
    n_words = text.count(" ") + text.count("\n") + 1
    numbers = raw.translate(_ALL_BUT_DIGITS_BLANK).split()  # runs of digits
    row = np.zeros(len(FEATURE_NAMES), np.float32)
    row[:_FIRST_EDGE] = _CLASS_TABLE @ histogram / max(len(raw), 1)
    ending = text[-8:].rstrip()[-1:]
    row[_FIRST_EDGE : _FIRST_EDGE + 3] = (len(text) / n_words / 10, ending == "?", ending == ".")
    opening = text[:16].split(maxsplit=1)
    place = _OPENING_PLACES.get(opening[0].lower()) if opening else None
    if place is not None:
        row[place] = 1
    row[_FIRST_COUNT:_FIRST_LENGTH] = histogram[_CHARACTER_CODES]
    row[_FIRST_LENGTH:] = (
        context.prompt_characters,
        len(text),
        n_words,
        context.n_turns - 1,
        len(numbers),
        max(map(len, numbers), default=0),
        len(_OPTION.findall(text)),
        *map(text.count, _MARK_TEXTS),
    )
    np.log1p(row[_FIRST_COUNT:], out=row[_FIRST_COUNT:])
    return row[None]
