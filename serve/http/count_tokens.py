"""`POST /v1/messages/count_tokens`: the length of a Messages request, on the lane that would answer it."""

import logging

import msgspec

from serve.dialects.anthropic import NAME as ANTHROPIC
from serve.http.admission import Admission
from serve.http.asgi import Receive, Scope, Send, header_value, send_json
from serve.http.doors import COUNT_TOKENS
from serve.routing.call import Call
from serve.upstream.destination import Destination
from serve.upstream.transport import TransportError

_log = logging.getLogger("llmdeal.count_tokens")
_MAX_ANSWER_BYTES = 64 * 1024


class CountAnswer(msgspec.Struct):
    """The length of a request."""

    input_tokens: int


class CountTokens:
    """The endpoint.

    A lane that speaks the dialect counts the tokens itself. For other lanes the answer is our estimate, and the header
    `x-llmdeal-token-count` says so.

    Args:
        admission: Object that turns requests into calls.
    """

    door = COUNT_TOKENS

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = await self._admission.admit(scope, receive, self.door, is_rehearsed=True)
        self._admission.settle(call)  # counting takes no tokens
        counted = await _ask_lane(call)
        tokens = call.context.prompt_tokens if counted is None else counted
        headers = [
            (b"x-llmdeal-request-id", call.request_id.encode()),
            (b"x-llmdeal-lane", header_value(call.decision.chosen.lane_id)),
            (b"x-llmdeal-token-count", b"estimated" if counted is None else b"exact"),
        ]
        await send_json(send, 200, CountAnswer(tokens), headers)


async def _ask_lane(call: Call) -> int | None:
    """Return the number that the chosen lane counts; None: it cannot count, or does not answer."""
    row = call.decision.order[0]
    connection = call.connection(row)
    if ANTHROPIC not in connection.endpoints:
        return None
    body = call.exchange(row).encode_request(call.inquiry, connection.lane, connection.quirks)
    counting = Destination(f"{connection.endpoints[ANTHROPIC][0]}/count_tokens", connection.headers)
    try:
        response = await connection.transport.post(counting, call.inquiry.passed_headers, body, connection.deadlines)
        try:
            raw = await response.read(_MAX_ANSWER_BYTES)
            return msgspec.json.decode(raw, type=CountAnswer).input_tokens if response.status == 200 else None
        finally:
            response.close()
    except (TransportError, msgspec.MsgspecError) as error:
        _log.info("%s did not count: %s", connection.lane.lane_id, type(error).__name__)
        return None
