"""The headers of an answer: `x-llmdeal-*`, and what is left of the limits of the key or account."""

from router.price_table import format_usd
from serve.http.asgi import RawHeaders, header_value
from serve.http.request_ids import request_id_headers
from serve.lanes.rate_limit_headers import rate_limit_headers
from serve.proxy.attempt import Attempt
from serve.rate_limits.key_limits import limit_headers


def answer_headers(attempt: Attempt, overhead_ms: float, cost_nusd: int | None) -> RawHeaders:
    """Return the headers of an answer.

    Args:
        attempt: Attempt that answered.
        overhead_ms: Our own time until now, without the provider's time, milliseconds.
        cost_nusd: Cost of a whole answer; None: a stream, whose cost comes with its last chunk.
    """
    lane = attempt.call.decision.table.lanes[attempt.row]
    headers = [
        *request_id_headers(attempt.call.request_id),
        (b"x-llmdeal-lane", header_value(lane.lane_id)),
        (b"x-llmdeal-provider", header_value(lane.provider)),
        (b"x-llmdeal-model", header_value(lane.vendor_model)),
        (b"x-llmdeal-reason", attempt.reason.value.encode()),
        (b"x-llmdeal-attempts", str(attempt.number + 1).encode()),
        (b"x-llmdeal-overhead-ms", f"{overhead_ms:.2f}".encode()),
        (b"x-llmdeal-router-version", header_value(attempt.call.router_version)),
    ]
    if cost_nusd is not None:
        headers.append((b"x-llmdeal-cost-usd", format_usd(cost_nusd).encode()))
    if dropped := attempt.call.dropped(attempt.row):
        headers.append((b"x-llmdeal-dropped", header_value(", ".join(dropped))))
    allowance = attempt.call.allowance
    if allowance is not None:
        headers += limit_headers(allowance)
    elif attempt.answer.rate_limits is not None:
        headers += [(name.encode(), text.encode()) for name, text in rate_limit_headers(attempt.answer.rate_limits)]
    return headers
