"""`/requests/{id}`: one request with its decision, and the feedback on its answer."""

from typing import Annotated

from anyio.from_thread import run as run_on_loop
from fastapi import APIRouter, Depends, Request, Response

from router.telemetry_schema import FeedbackRow
from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.page_errors import PageError, not_found
from serve.dashboard.queries.decision_query import StoredRequest, read_request
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import Viewer, directory_of, viewer_of
from serve.dashboard.views.decision_view import decision_view
from serve.dashboard.views.lane_basis import bases_of
from serve.gateway import resources_of

routes = APIRouter(include_in_schema=False)

_LONGEST_COMMENT = 2_000
_THUMBS = {"up": 1.0, "down": 0.0}


@routes.get("/requests/{request_id}")
def show_request(request_id: str, request: Request) -> Response:
    """Show one request."""
    viewer = viewer_of(request)
    stored = _stored(request, viewer, request_id)
    dashboard = dashboard_of(request.app)
    table = directory_of(resources_of(request.app), viewer).table
    return render_page(
        request,
        viewer,
        "decision.html",
        view=decision_view(stored, dashboard.policy_defaults, dict(zip(table.lane_ids, bases_of(table), strict=True))),
        keeps_text=dashboard.keeps_text,
        was_judged=request.query_params.get("judged") == "1",
    )


@routes.post("/requests/{request_id}/feedback")
def judge_answer(request_id: str, request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Record a thumb, as `/v1/feedback` does."""
    viewer = viewer_of(request)
    check_form(request, viewer, form)
    _stored(request, viewer, request_id)
    value = _THUMBS.get(form.get("thumb", ""))
    comment = form.get("comment", "").strip().replace("\0", "")
    if value is None or len(comment) > _LONGEST_COMMENT:
        raise PageError(
            400, "The feedback is incomplete", f"Choose a thumb. A comment has at most {_LONGEST_COMMENT:,} characters."
        )
    resources = resources_of(request.app)
    row = FeedbackRow(
        request_id=request_id,
        metric_name="thumbs",
        value=value,
        comment=comment or None,
        given_by=viewer.name,
        received_at=resources.clock.now(),
    )
    run_on_loop(_record, request, row)
    return redirect(f"/requests/{request_id}?judged=1#feedback")


async def _record(request: Request, row: FeedbackRow) -> None:
    """Give the row to the writer on the event loop, and wait until it is stored, so that the next page shows it."""
    resources = resources_of(request.app)
    resources.telemetry.record(row)
    await resources.telemetry.flush()


def _stored(request: Request, viewer: Viewer, request_id: str) -> StoredRequest:
    resources = resources_of(request.app)
    stored = read_request(resources.engine, viewer.account, request_id)
    if stored is None and resources.telemetry.counts.queued_rows:
        # The row may still wait for its batch.
        run_on_loop(resources.telemetry.flush)
        stored = read_request(resources.engine, viewer.account, request_id)
    if stored is None:
        raise not_found("This account has no request with this id. A request appears here after its end.")
    return stored
