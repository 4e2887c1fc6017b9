"""Relays a chat completion stream to the caller byte for byte; only the event with the usage gains the cost."""

from typing import Any

import msgspec
from msgspec import Raw

from router.price_table import TokenUsage
from serve.dialects.exchange import Settle
from serve.dialects.lenient import content_length
from serve.dialects.openai.stream_chunk import Chunk, Delta, decode_chunk, decode_chunks
from serve.dialects.openai.usage import read_usage, usage_with_cost
from serve.dialects.openai.word_frame import WordFrame
from serve.dialects.sse import EventSplitter, encode_event, event_data
from serve.dialects.usage_estimate import estimate_usage

DONE = b"[DONE]"
_EMPTY = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false"})
_LONGEST_EMPTY = 5
_LAST = b"data: [DONE]\n\n"
_NEXT = b"\n\ndata:"
_NO_CHOICE: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": None}
_MOST_FRAMES = 3
"""Number of frames that are tried for one stream. If none fits, the events differ in more than their words, for
instance in a random number; then they are read one by one."""


def _characters(delta: Delta) -> int:
    """Return the number of characters in a piece of an answer. It runs for every piece of every stream."""
    content = delta.content
    n = 0
    if content:
        n = len(content) if type(content) is str else content_length(content)
    if delta.reasoning_content or delta.reasoning:
        n += content_length(delta.reasoning_content or delta.reasoning)
    if len(delta.tool_calls):
        n += _length(delta.tool_calls)
    if n:
        return n
    n = content_length(delta.refusal) if delta.refusal else 0
    return n + _length(delta.function_call) + _length(delta.audio) + _length(delta.images)


def _length(field: Raw) -> int:
    """Return the size of a field's JSON; 0 if it is absent, null or empty."""
    return 0 if len(field) <= _LONGEST_EMPTY and bytes(field) in _EMPTY else len(field)


def _ends(chunk: Chunk) -> bool:
    """Return whether a choice of a chunk has a finish reason."""
    return any(choice.finish_reason for choice in chunk.choices or ())


def _has_four_events(piece: bytes) -> bool:
    """Return whether a piece holds at least four events; for fewer, reading one by one is as quick."""
    second = piece.find(_NEXT)
    third = piece.find(_NEXT, second + 1) if second >= 0 else -1
    return third >= 0 and piece.find(_NEXT, third + 1) >= 0


def _length_of(run: bytes, n_events: int) -> int:
    """Return the size in bytes of the first events of a run."""
    end = 0
    for _ in range(n_events):
        end = run.index(_NEXT, end) + 2
    return end


class ChatStreamRelay:
    """One streamed answer on its way to the caller; see `serve.dialects.exchange.StreamRelay`.

    Args:
        prompt_tokens: Our estimate of the prompt's tokens, for a provider that sends no usage.
        settle: Function that returns the bill for tokens.
        is_reasoning_outside: Whether the provider counts reasoning in addition to `completion_tokens`.
        has_usage_chunk: Whether the caller wants the usage in a chunk without choices. False: it is put into the chunk
            with the finish reason, which waits for it.
    """

    def __init__(
        self, prompt_tokens: int, settle: Settle, *, is_reasoning_outside: bool = False, has_usage_chunk: bool = True
    ) -> None:
        self._splitter = EventSplitter()
        self._prompt_tokens = prompt_tokens
        self._settle = settle
        self._is_reasoning_outside = is_reasoning_outside
        self._has_usage_chunk = has_usage_chunk
        self._last_event: bytes | None = None
        """The event with the finish reason, while it waits for the usage."""
        self._usage: TokenUsage | None = None
        self._service_tier: Any = None
        self._head = Chunk()
        self._frame: WordFrame | None = None
        self._frames_left = _MOST_FRAMES
        self.characters = 0
        self.finish_reason: str | None = None
        self.has_content = False
        self.is_done = False
        self.error: str | None = None

    @property
    def usage(self) -> TokenUsage:
        """Tokens so far: the provider's count if it came already, else our estimate."""
        return self._usage or estimate_usage(self._prompt_tokens, self.characters)

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete: the provider ended the stream, or gave a finish reason."""
        return self.error is None and (self.is_done or self.finish_reason is not None)

    def feed(self, chunk: bytes) -> bytes:
        """Return the bytes for the caller that these bytes of the provider complete.

        Raises:
            ValueError: The stream is not server-sent events.
        """
        are_many = not self._splitter.pending and self._last_event is None and _has_four_events(chunk)
        if are_many and (end := self._take_words(chunk) or self._relay_together(chunk)):
            return chunk if end == len(chunk) else chunk[:end] + self.feed(chunk[end:])
        events = self._splitter.feed(chunk)
        return self._relay(events[0]) if len(events) == 1 else b"".join([self._relay(event) for event in events])

    def finish(self) -> bytes:
        """Return the last bytes for the caller: an event whose end is missing, our count of tokens, `[DONE]`."""
        rest = self._splitter.pending
        tail = self._relay(rest + b"\n\n") if rest.strip() else b""
        if self.error is None and self._usage is None:
            if self._last_event is not None:
                tail += self._take_last(None, self.usage)
            else:
                tail += encode_event(msgspec.json.encode(self._usage_chunk()))
        return tail + self._release() + encode_event(DONE)

    def break_off(self, message: str, code: str) -> bytes:
        """Return the end of a stream that broke after its first byte: an error chunk, then `[DONE]`."""
        self.error = code
        chunk = self._usage_chunk()
        chunk["choices"] = [{"index": 0, "delta": {}, "finish_reason": "error"}]
        chunk["error"] = {"message": message, "type": "upstream_error", "param": None, "code": code}
        return self._release() + encode_event(msgspec.json.encode(chunk)) + encode_event(DONE)

    def _release(self) -> bytes:
        """Return the event that waits for the usage, unchanged."""
        event, self._last_event = self._last_event, None
        return event or b""

    def _take_last(self, upstream_usage: dict[str, Any] | None, usage: TokenUsage) -> bytes:
        """Return the event that waits for the usage, with the usage and its cost."""
        data = event_data(self._release())
        body = msgspec.json.decode(data or b"{}")
        body.update(self._render_usage(upstream_usage, usage))
        return encode_event(msgspec.json.encode(body))

    def _take_words(self, piece: bytes) -> int:
        """Take note of the first events of a piece, if only their words differ.

        Returns:
            Length of these events; 0: there are none.
        """
        if self._frame is None:
            return self._learn_frame(piece) if self._frames_left else 0
        end, n_characters = self._frame.take(piece)
        if not end and not piece.startswith(self._frame.before):
            self._frame = None
        self.characters += n_characters
        self.has_content = self.characters > 0
        return end

    def _learn_frame(self, piece: bytes) -> int:
        """Take the frame of a piece's second event, which the events after it may share.

        Returns:
            Length of the first event, which is noted here; 0: nothing is noted.
        """
        self._frames_left -= 1
        start = piece.index(_NEXT) + 2
        self._frame = WordFrame.of(piece[start : piece.index(_NEXT, start) + 2])
        return 0 if self._frame is None else self._relay_together(piece[:start])

    def _relay_together(self, piece: bytes) -> int:
        """Take note of the first events of a piece, all at once, up to the one with the usage.

        Returns:
            Length of these events, which are passed on unchanged; 0: an event has several lines or cannot be read.
        """
        run = piece.removesuffix(_LAST)
        n_events = run.count(_NEXT) + 1
        if not run.startswith(b"data:") or not run.endswith(b"\n\n") or run.count(b"\n") != 2 * n_events:
            return 0
        try:
            chunks = decode_chunks(run[5:].replace(_NEXT, b"\n"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return 0
        if len(chunks) != n_events:
            return 0
        for number, chunk in enumerate(chunks):
            if chunk.usage is not None or chunk.x_groq is not None or (not self._has_usage_chunk and _ends(chunk)):
                return _length_of(run, number)
            self._note(chunk)
        return len(run)

    def _relay(self, event: bytes) -> bytes:
        data = event_data(event)
        if data is None:
            return event
        if data == DONE:
            self.is_done = True
            return b""
        try:
            chunk = decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._release() + event
        is_last = self._note(chunk)
        usage = None
        if chunk.usage is not None or chunk.x_groq is not None:
            block = chunk.usage or (chunk.x_groq.usage if chunk.x_groq else None)
            tier = chunk.service_tier or self._service_tier
            usage = read_usage(block, tier, is_reasoning_outside=self._is_reasoning_outside)
        if usage is not None:
            self._usage = usage
            return self._with_cost(data, usage)
        if not is_last and self._last_event is None:
            return event
        if self._has_usage_chunk or self._usage is not None:
            return event
        waited = self._release()
        if is_last:
            self._last_event = event
            return waited
        return waited + event

    def _note(self, chunk: Chunk) -> bool:
        """Take note of a chunk, and return whether it has a finish reason."""
        is_last = False
        if self._head.id is None:
            self._head = chunk
        if chunk.service_tier is not None:
            self._service_tier = chunk.service_tier
        if len(chunk.error) and _length(chunk.error):
            self.error = bytes(chunk.error).decode()
        for choice in chunk.choices or ():
            if choice.finish_reason:
                is_last = True
                self.finish_reason = str(choice.finish_reason)
                if choice.finish_reason == "error" and self.error is None:
                    self.error = bytes(choice.error).decode() if _length(choice.error) else "the provider failed"
            if choice.delta is not None:
                self.characters += _characters(choice.delta)
            elif choice.text:
                self.characters += content_length(choice.text)
        self.has_content = self.characters > 0
        return is_last

    def _render_usage(self, upstream_usage: dict[str, Any] | None, usage: TokenUsage) -> dict[str, Any]:
        bill = self._settle(usage)
        fields: dict[str, Any] = {"usage": usage_with_cost(upstream_usage, usage, bill.cost)}
        return fields if bill.explanation is None else {**fields, "llmdeal": bill.explanation}

    def _with_cost(self, data: bytes, usage: TokenUsage) -> bytes:
        body = msgspec.json.decode(data)
        upstream_usage = body.get("usage") or (body.get("x_groq") or {}).get("usage")
        if not self._has_usage_chunk and not body.get("choices"):
            if self._last_event is not None:
                return self._take_last(upstream_usage, usage)
            body["choices"] = [_NO_CHOICE]
        waited = self._release()
        body.update(self._render_usage(upstream_usage, usage))
        return waited + encode_event(msgspec.json.encode(body))

    def _usage_chunk(self) -> dict[str, Any]:
        head = self._head
        chunk: dict[str, Any] = {"id": head.id or "chatcmpl-llmdeal", "object": "chat.completion.chunk"}
        chunk |= {"created": head.created or 0, "model": head.model or ""}
        chunk["choices"] = [] if self._has_usage_chunk else [_NO_CHOICE]
        return chunk | self._render_usage(None, self.usage)
