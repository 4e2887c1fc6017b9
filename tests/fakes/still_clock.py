"""A clock that a test sets."""


class StillClock:
    """Seconds that stand still until the test changes `seconds`."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds
