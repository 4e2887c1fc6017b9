"""What the chunks of one stream have in common when only their words differ, so that many are told apart without reading their JSON."""

import re

import msgspec

from serve.dialects.openai.stream_chunk import Delta, decode_chunk

_WORDS = re.compile(rb'"content"\s*:\s*"([^"\\]*)"')
_EVENT_END = b"\n\n"
_SEAM_END = 3
_as_text = msgspec.json.Decoder(str).decode


class WordFrame:
    """The bytes before and after the words of an event, the same in every ordinary event of a stream.

    The bytes after them hold an unescaped quote and end in two line feeds; neither can stand inside a JSON string.

    Args:
        before, after: Of one event of one line.
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
        """Return the frame of an event; None: it says other things than words, or is not of one line."""
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
        """Return (length in bytes, characters said) of the events in this frame that a piece begins with.

        (0, 0): there are none, or something else stands between them.
        """
        end = piece.rfind(self._after) + len(self._after)
        # To look for the few bytes at the seam of two events and check what comes of it takes half as long as to look for all that is between words.
        words = [event[self._words] for event in piece[1 : end - _SEAM_END].split(self._seam)]
        if self.before + self._between.join(words) + self._after != piece[:end]:
            return 0, 0
        try:
            return end, _characters(b"".join(words))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return 0, 0


def _characters(said: bytes) -> int:
    """Return the length of what stands between the quotes of a JSON string.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: It cannot stand there.
    """
    if b'"' in said or b"\\" in said or b"\n" in said:
        return len(_as_text(b'"' + said + b'"'))
    return len(said) if said.isascii() else len(said.decode())
