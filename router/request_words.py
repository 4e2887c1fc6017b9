"""The words of a request, found fast: those of its head and its tail, in lower case, as UTF-8.

A request says at its start and at its end what it wants. The text between is mostly material to work on, so it is not
searched, and a long text costs as much as a short one.
"""

from typing import Final

HEAD_CHARACTERS: Final = 200
TAIL_CHARACTERS: Final = 200

_PUNCTUATION: Final = {
    **dict.fromkeys("\u00a0\u202f…«»“”„‘¿¡。，、：；！？（）「」·।،؟", " "),
    **{"–": "-", "—": "-", "’": "'"},
}
"""Mark beyond ASCII that separates words -> one of ASCII that does."""


def _word_byte(code: int) -> int:
    """Return what stands for this byte: letters in lower case, digits and `_` as they are, a blank for the rest."""
    if code >= 128 or chr(code).isalnum() or code == ord("_"):
        return ord(chr(code).lower()) if code < 128 else code
    return ord(" ")


_WORD_BYTES: Final = bytes(_word_byte(code) for code in range(256))


def request_part(text: str) -> str:
    """Return the head and the tail of a long text, else the text. It has at most 401 characters."""
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return f"{text[:HEAD_CHARACTERS]}\n{text[-TAIL_CHARACTERS:]}"


def encode_part(part: str) -> bytes:
    """Return `request_part` as UTF-8. Beyond ASCII, letters are in lower case, and marks are those of ASCII."""
    if part.isascii():
        return part.encode()
    part = part.lower()
    for mark, ascii_mark in _PUNCTUATION.items():
        part = part.replace(mark, ascii_mark)
    return part.encode("utf-8", "replace")


def split_words(raw: bytes) -> list[bytes]:
    """Return the words of `encode_part` in order, in lower case. "1,500" is two of them.

    Languages without blanks between words come in long pieces; `router.word_groups` and `router.stated_length` have
    other means for them.
    """
    return raw.translate(_WORD_BYTES).split()
