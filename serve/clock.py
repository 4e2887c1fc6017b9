"""Time as a value that is passed in, so that tests can hold it still."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two readings: the wall's, for logs, and one that only goes forward, for durations."""

    def now(self) -> datetime:
        """Return the present moment, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only go forward."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only go forward, at the best resolution there is."""
        return time.perf_counter()
