"""The bytes that the chunks of one stream share if only their words differ: many chunks are read without their JSON."""

import re

import msgspec

from serve.dialects.openai.stream_chunk import Delta, decode_chunk

_WORDS = re.compile(rb'"content"\s*:\s*"([^"\\]*)"')
_EVENT_END = b"\n\n"
_SEAM_END = 3
_as_text = msgspec.json.Decoder(str).decode


class WordFrame:
    """The bytes before and after the words of an event; all ordinary events of a stream share them.

    The bytes after the words hold an unescaped quote and end in two line feeds. Neither can be inside a JSON string.

    Args:
        before: Bytes before the words, of an event of one line.
        after: Bytes after the words.
    """

    __slots__ = ("_after", "_between", "_seam", "_words", "before")

    def __init__(self, before: bytes, after: bytes) -> None:
        self.before = before
        self._after = after
        self._between = after + before
        self._seam = after[-_SEAM_END:] + before[:1]
        self._words = slice(len(before) - 1, _SEAM_END - len(after))

    @classmethod
    def of(cls, event: bytes) -> "WordFrame | None":
        """Return the frame of an event. None: it has more than words, or more than one line."""
        words = _WORDS.search(event)
        if words is None or not event.startswith(b"data:") or not event.endswith(_EVENT_END) or event.count(b"\n") != 2:
            return None
        before, after = event[: words.start(1)], event[words.end(1) :]
        try:
            chunk = decode_chunk(before[5:] + b"other words" + after)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        choices = chunk.choices or ()
        is_plain = len(choices) == 1 and choices[0].finish_reason is None and choices[0].delta == Delta("other words")
        is_plain = is_plain and chunk.usage is None and chunk.x_groq is None and not len(chunk.error)
        return cls(before, after) if is_plain else None

    def take(self, piece: bytes) -> tuple[int, int]:
        """Return (length in bytes, characters of words) of the first events of a piece, if they have this frame.

        (0, 0): there are none, or there is something else between them.
        """
        end = piece.rfind(self._after) + len(self._after)
        # Splitting at the few bytes where two events meet, and checking the result, takes half as long as splitting at
        # all the bytes between words.
        words = [event[self._words] for event in piece[1 : end - _SEAM_END].split(self._seam)]
        if self.before + self._between.join(words) + self._after != piece[:end]:
            return 0, 0
        try:
            return end, _characters(b"".join(words))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return 0, 0


def _characters(words: bytes) -> int:
    """Return the number of characters between the quotes of a JSON string.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: These bytes cannot be inside a JSON string.
    """
    if b'"' in words or b"\\" in words or b"\n" in words:
        return len(_as_text(b'"' + words + b'"'))
    return len(words) if words.isascii() else len(words.decode())
