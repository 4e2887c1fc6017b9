"""What a provider answered to one attempt, as far as it came."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from serve.clock import Clock
from serve.lanes.rate_limit_headers import RateLimits, read_rate_limits
from serve.upstream.transport import UpstreamResponse

MOST_KEPT_PIECES: Final = 16_384
"""The most pieces of a stream that are kept; a longer stream is not checked."""
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-generation-id", "cf-ray")


class UpstreamAnswer:
    """The parts of a provider's answer that the log, the checks and the caller's headers need.

    Attributes:
        status: HTTP status; None: no head came.
        headers: Headers of the response, by name in lower case.
        rate_limits: Limits of the account, as the headers say; None: they say nothing.
        request_id: Id that the provider gave the request; None: it gave none.
        finish_reason: Reason for which the answer ended, in the provider's word; None: it did not say.
        text: Text of an unstreamed answer; None: a stream, or no text.
        raw: Body of an unstreamed answer, or the pieces of a stream if they are kept; None: not kept.
    """

    __slots__ = ("finish_reason", "headers", "rate_limits", "raw", "request_id", "status", "text")

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Mapping[str, str] = NO_HEADERS
        self.rate_limits: RateLimits | None = None
        self.request_id: str | None = None
        self.finish_reason: str | None = None
        self.text: str | None = None
        self.raw: bytes | list[bytes] | None = None

    def read_head(self, response: UpstreamResponse, clock: Clock) -> None:
        """Keep what the head of the response says."""
        self.status = response.status
        self.headers = headers = response.headers
        self.rate_limits = read_rate_limits(headers, clock.now)
        for name in _REQUEST_ID_HEADERS:
            if name in headers:
                self.request_id = headers[name]
                return
