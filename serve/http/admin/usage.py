"""The endpoint of usage: requests, tokens and money, by day, lane, model, virtual key or provider."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Query, Request

from serve.errors import BadRequestError
from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed
from serve.http.admin.shapes import usd_text
from serve.identity.roles import Role
from serve.telemetry.usage_repository import UsageRepository, UsageRow

routes = admin_routes("usage")
_USUAL_SPAN = timedelta(days=30)


@routes.get("/accounts/{account}/usage", summary="Show what was used", response_model=None)
def show_usage(
    account: str,
    request: Request,
    actor: AskedBy,
    by: Annotated[Literal["day", "lane", "model", "provider", "virtual_key"], Query()] = "day",
    since: Annotated[datetime | None, Query(description="Absent: thirty days before `until`.")] = None,
    until: Annotated[datetime | None, Query(description="Absent: now.")] = None,
) -> dict[str, Any]:
    """Return the usage of requests that began at since <= t < until; days are UTC."""
    resources = allowed(request, actor, account, Role.VIEWER)
    try:
        end = _aware(until or resources.clock.now())
        begin = _aware(since) if since is not None else end - _USUAL_SPAN
    except OverflowError:
        raise BadRequestError("since, until: out of range", param="since") from None
    rows = UsageRepository(resources.engine).usage(account, by, begin, end)
    return {
        "object": "list",
        "since": begin.isoformat().replace("+00:00", "Z"),
        "until": end.isoformat().replace("+00:00", "Z"),
        "data": [_shape(by, row) for row in rows],
    }


def _shape(by: str, row: UsageRow) -> dict[str, Any]:
    return {
        by: row.key,
        "requests": row.n_requests,
        "attempts": row.n_attempts,
        "failed_attempts": row.n_failed,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "cost_usd": usd_text(row.cost_nusd),
    }


def _aware(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
