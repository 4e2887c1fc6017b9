"""Reading what providers send: JSON, whole or as server-sent events. Bytes of another shape are a `ValueError`."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from serve.dialects.neutral.answer import AnswerEvent
from serve.dialects.sse import EventSplitter, event_data

Decoded = TypeVar("Decoded")


def decoded(decode: Callable[[bytes], Decoded], raw: bytes, complaint: str) -> Decoded:
    """Return the JSON that a provider sent, typed.

    Args:
        decode: Decoder for the expected type.
        raw: Bytes of the provider.
        complaint: Beginning of the error message: "the provider's answer is not a message".

    Raises:
        ValueError: The bytes are not JSON, or not of the expected type.
    """
    try:
        return decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{complaint}: {type(error).__name__}") from None


class SseStreamReader(ABC, Generic[Decoded]):
    """Base of the readers of server-sent events; see `serve.dialects.translation.StreamReader`.

    Args:
        decode: Decoder for the data of one event.
        complaint: Beginning of the error message for an event of another shape.
        end_mark: Data of the event that ends a stream. None: the dialect has no such event.
    """

    def __init__(self, decode: Callable[[bytes], Decoded], complaint: str, end_mark: bytes | None = None) -> None:
        self._splitter = EventSplitter()
        self._decode = decode
        self._complaint = complaint
        self._end_mark = end_mark
        self.is_done = False

    def feed(self, chunk: bytes) -> list[AnswerEvent]:
        """Return the events that these bytes complete.

        Raises:
            ValueError: They are not of the dialect.
        """
        events: list[AnswerEvent] = []
        for raw in self._splitter.feed(chunk):
            data = event_data(raw)
            if data is None:
                continue
            if data == self._end_mark:
                self.is_done = True
                continue
            # Not by `decoded`: this runs for every event of every translated stream.
            try:
                event = self._decode(data)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise ValueError(f"{self._complaint}: {type(error).__name__}") from None
            self._read(event, events)
        return events

    @abstractmethod
    def _read(self, event: Decoded, events: list[AnswerEvent]) -> None:
        """Append to `events` what one event of the provider says."""
