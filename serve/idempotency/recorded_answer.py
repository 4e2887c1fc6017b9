"""An answer as it was sent to the caller, kept for a repeated request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """What the gateway sent to a caller.

    Args:
        status: HTTP status.
        headers: Names and values that belong to the answer; headers about the moment, such as limits, are left out.
        body: Whole body; None: it was longer than the gateway keeps.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | None
