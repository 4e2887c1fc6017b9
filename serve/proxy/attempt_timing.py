"""When one attempt was sent and answered."""

from serve.clock import Clock


class AttemptTiming:
    """The moments of one attempt, in monotonic seconds, and the durations between them.

    Args:
        clock: Monotonic clock.
        arrived: Moment at which the caller's request came in.
    """

    __slots__ = ("_arrived", "_monotonic", "first_byte", "sent")

    def __init__(self, clock: Clock, arrived: float) -> None:
        self._monotonic = clock.monotonic
        self._arrived = arrived
        self.sent = self._monotonic()
        self.first_byte: float | None = None

    def note_sent(self) -> None:
        """Start the time again: the request leaves now."""
        self.sent = self._monotonic()

    def note_first_byte(self) -> None:
        """Take the time of the answer's first byte."""
        self.first_byte = self._monotonic()

    @property
    def waited_ms(self) -> float:
        """Milliseconds since the request was sent upstream."""
        return (self._monotonic() - self.sent) * 1_000

    @property
    def ttft_ms(self) -> float | None:
        """Milliseconds to the first byte of the answer; None: none came."""
        return None if self.first_byte is None else (self.first_byte - self.sent) * 1_000

    def overhead_ms(self, now: float) -> float:
        """Return the gateway's own milliseconds from the request's arrival to `now`, without the provider's."""
        return max((now - self._arrived) * 1_000 - (self.ttft_ms or 0.0), 0.0)
