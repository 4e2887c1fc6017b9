"""`POST /v1/route`: the decision only. It takes a chat request, asks no provider and costs nothing."""

from serve.http.admission import Admission
from serve.http.asgi import Receive, Scope, Send, header_value, send_json
from serve.http.doors import CHAT
from serve.http.request_ids import request_id_headers
from serve.proxy.explanation import explain_route


class Route:
    """The endpoint; it takes what `/v1/chat/completions` takes.

    Args:
        admission: Object that turns requests into calls.
    """

    door = CHAT

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide and explain."""
        call = await self._admission.admit(scope, receive, self.door, is_rehearsed=True)
        self._admission.settle(call)  # a decision alone takes no tokens
        headers = [
            *request_id_headers(call.request_id),
            (b"x-llmdeal-lane", header_value(call.decision.chosen.lane_id)),
            (b"x-llmdeal-reason", call.decision.reason.value.encode()),
        ]
        await send_json(send, 200, explain_route(call), headers)
