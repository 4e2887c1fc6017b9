"""The words of a request, found fast: those of its head and its tail, in lower case, as UTF-8.

A request says at its start and at its end what it wants. The text between is mostly material to work on, so it is not
searched, and a long text costs as much as a short one.
"""

import re
from typing import Final

HEAD_CHARACTERS: Final = 300
TAIL_CHARACTERS: Final = 300

_SEPARATOR_IN_NUMBER: Final = re.compile(rb"[.,](?<=[0-9].)(?=[0-9])")
"""The dot or comma of "1.500" or "1,500". It begins with the rare character, so most positions cost nothing."""
_PUNCTUATION: Final = re.compile("[\u00a0\u202f–—…«»“”„‘’¿¡。，：；！？（）「」·।،؟]+")
"""Marks beyond ASCII that separate words."""


def _word_byte(code: int) -> int:
    """Return what stands for this byte: letters in lower case, digits and `_` as they are, a blank for the rest."""
    if code >= 128 or chr(code).isalnum() or code == ord("_"):
        return ord(chr(code).lower()) if code < 128 else code
    return ord(" ")


_WORD_BYTES: Final = bytes(_word_byte(code) for code in range(256))


def request_part(text: str) -> str:
    """Return the head and the tail of a long text, else the text. It has at most 601 characters."""
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return f"{text[:HEAD_CHARACTERS]}\n{text[-TAIL_CHARACTERS:]}"


def encode_part(part: str) -> bytes:
    """Return `request_part` as UTF-8, in lower case as far as it is not ASCII, with ASCII between its words."""
    if part.isascii():
        return part.encode()
    return _PUNCTUATION.sub(" ", part.lower()).encode("utf-8", "replace")


def split_words(raw: bytes) -> list[bytes]:
    """Return the words of `encode_part` in order, in lower case. "1,500" is two of them.

    Languages without blanks between words come in long pieces; `router.word_groups` and `router.stated_length` have
    other means for them.
    """
    return raw.translate(_WORD_BYTES).split()


def split_words_and_numbers(raw: bytes) -> list[bytes]:
    """Return the words as `split_words` does, but with whole numbers: "1,500" is `1_500`."""
    return split_words(_SEPARATOR_IN_NUMBER.sub(b"_", raw))
