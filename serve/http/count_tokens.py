"""The length of a request on the lane that would answer it.

The endpoints are `POST /v1/messages/count_tokens` and `POST /v1/responses/input_tokens`.
"""

import logging
from collections.abc import Callable
from typing import Literal

import msgspec

from serve.http.admission import Admission
from serve.http.asgi import Receive, Scope, Send, header_value, send_json
from serve.http.doors import Door
from serve.http.request_ids import request_id_headers
from serve.routing.call import Call
from serve.upstream.destination import Destination
from serve.upstream.transport import TransportError

_log = logging.getLogger("llmdeal.count_tokens")
_MAX_ANSWER_BYTES = 64 * 1024


class CountAnswer(msgspec.Struct):
    """The length of a request."""

    input_tokens: int


class InputTokensAnswer(CountAnswer, kw_only=True):
    """The length of a request, as OpenAI's SDKs read it."""

    object: Literal["response.input_tokens"] = "response.input_tokens"


class CountTokens:
    """One endpoint.

    A lane that speaks the dialect counts the tokens itself. For other lanes the answer is our estimate, and the header
    `x-llmdeal-token-count` says so.

    Args:
        door: Dialect of the endpoint.
        dialect: Name of the dialect.
        path: Path of the endpoint below the one that answers.
        answer: Type of the answer.
        admission: Object that turns requests into calls.
    """

    def __init__(
        self, door: Door, dialect: str, path: str, answer: Callable[[int], CountAnswer], admission: Admission
    ) -> None:
        self.door = door
        self._dialect = dialect
        self._path = path
        self._answer = answer
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = await self._admission.admit(scope, receive, self.door, is_rehearsed=True)
        self._admission.settle(call)  # counting takes no tokens
        counted = await self._ask_lane(call)
        tokens = call.context.prompt_tokens if counted is None else counted
        headers = [
            *request_id_headers(call.request_id),
            (b"x-llmdeal-lane", header_value(call.decision.chosen.lane_id)),
            (b"x-llmdeal-token-count", b"estimated" if counted is None else b"exact"),
        ]
        await send_json(send, 200, self._answer(tokens), headers)

    async def _ask_lane(self, call: Call) -> int | None:
        """Return the number that the chosen lane counts; None: it cannot count, or does not answer."""
        row = call.decision.order[0]
        connection = call.connection(row)
        if self._dialect not in connection.endpoints:
            return None
        body = call.exchange(row).encode_request(call.inquiry, connection.lane, connection.quirks)
        counting = Destination(f"{connection.endpoints[self._dialect][0]}/{self._path}", connection.headers)
        try:
            headers = call.inquiry.passed_headers
            response = await connection.transport.post(counting, headers, body, connection.deadlines)
            try:
                raw = await response.read(_MAX_ANSWER_BYTES)
                return msgspec.json.decode(raw, type=CountAnswer).input_tokens if response.status == 200 else None
            finally:
                response.close()
        except (TransportError, msgspec.MsgspecError) as error:
            _log.info("%s did not count: %s", connection.lane.lane_id, type(error).__name__)
            return None
