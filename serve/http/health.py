"""`/healthz`, `/readyz` and `/metrics`, for the operator. They show no secret and need no virtual key."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Request, Response
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from serve.gateway import ResourceSet, resources_of
from serve.http.openapi_responses import answered_with
from serve.http.struct_response import StructResponse

routes = APIRouter()


class ReadyAnswer(Struct):
    """The parts that the gateway needs to answer requests, and whether each is there."""

    status: Literal["ready", "not ready"]
    checks: dict[str, bool]
    router_version: str
    lanes: int
    price_snapshot_id: str


@routes.get("/healthz", summary="Is the process alive")
async def healthz() -> dict[str, str]:
    """Answer as long as the event loop runs."""
    return {"status": "ok"}


@routes.get(
    "/readyz",
    summary="Can it take requests",
    response_model=None,
    responses={200: answered_with(ReadyAnswer), 503: answered_with(ReadyAnswer, "Not now.")},
)
async def readyz(request: Request) -> StructResponse:
    """Answer 200 when there is a lane, a quality model and a database, and all background parts run; else 503.

    The answer names what is missing; a background part is named only while it waits to be started again.
    """
    resources = resources_of(request.app)
    checks = {
        "lanes": len(resources.routing.directory.table) > 0,
        "quality_model": len(resources.routing.directory.quality_model.trained_names) > 0,
        "database": await asyncio.to_thread(_is_database_up, resources),
    }
    checks |= {f"background_{part}": False for part in resources.supervisor.down()}
    is_ready = all(checks.values())
    answer = ReadyAnswer(
        status="ready" if is_ready else "not ready",
        checks=checks,
        router_version=resources.routing.directory.router_version,
        lanes=len(resources.routing.directory.table),
        price_snapshot_id=resources.routing.directory.price_snapshot_id,
    )
    return StructResponse(answer, 200 if is_ready else 503, None if is_ready else {"retry-after": "5"})


@routes.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Return all counters in Prometheus' text format."""
    resources = resources_of(request.app)
    counts = resources.telemetry.counts
    resources.metrics.telemetry_dropped.set(counts.dropped_rows)
    resources.metrics.telemetry_queued.set(counts.queued_rows)
    return Response(generate_latest(resources.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _is_database_up(resources: ResourceSet) -> bool:
    try:
        with resources.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True
