"""A made-up dialect in one file, to show what adding one takes. Bodies and streams are JSON, one object a line."""

import msgspec
from msgspec import Struct

from router.lane import Lane
from router.price_table import TokenUsage
from serve.dialects.dialect import Dialect
from serve.dialects.neutral.answer import AnswerEvent, Began, Counted, Finished, NeutralAnswer, TextDelta
from serve.dialects.neutral.parts import TextPart, joined_text
from serve.dialects.neutral.request import NeutralRequest
from serve.dialects.quirks import Quirks


class Cry(Struct):
    """A whole answer, or a piece of one; the last piece of a stream has the counts."""

    cry: str = ""
    heard: int | None = None
    cried: int | None = None

    @property
    def usage(self) -> TokenUsage | None:
        return None if self.heard is None or self.cried is None else TokenUsage(self.heard, self.cried)


class ParrotUpstream:
    """See `serve.dialects.translation.UpstreamDialect`."""

    def encode_request(self, request: NeutralRequest, lane: Lane, quirks: Quirks) -> bytes:
        heard = [joined_text(turn.parts) for turn in request.turns]
        return msgspec.json.encode({"heard": heard, "stream": request.is_streaming})

    def read_answer(self, raw: bytes, quirks: Quirks) -> NeutralAnswer:
        cry = msgspec.json.decode(raw, type=Cry)
        return NeutralAnswer("cry-1", "parrot", (TextPart(cry.cry),), "stop", cry.usage)

    def stream_reader(self, quirks: Quirks) -> "ParrotStreamReader":
        return ParrotStreamReader()


class ParrotStreamReader:
    """See `serve.dialects.translation.StreamReader`."""

    def __init__(self) -> None:
        self.is_done = False
        self._pending = b""
        self._has_begun = False

    def feed(self, chunk: bytes) -> list[AnswerEvent]:
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        events: list[AnswerEvent] = []
        for cry in (msgspec.json.decode(line, type=Cry) for line in lines if line.strip()):
            if not self._has_begun:
                self._has_begun = True
                events.append(Began("cry-1", "parrot"))
            if cry.cry:
                events.append(TextDelta(cry.cry))
            if cry.usage is not None:
                events += [Finished("stop"), Counted(cry.usage)]
                self.is_done = True
        return events


PARROT = Dialect(
    name="parrot",
    paths=("/cries/{model}", "/cries/{model}/stream"),
    upstream=ParrotUpstream(),
    key_header="x-parrot-key",
    headers={"x-parrot-version": "1"},
    missing_parameters=frozenset({"seed"}),
)
