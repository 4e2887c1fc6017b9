"""`POST /v1/feedback`: what somebody, or an automatic check, says about an answer."""

import asyncio
import math
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from router.telemetry_schema import FeedbackRow
from serve.errors import BadRequestError, NotFoundError
from serve.http.authentication import authenticate
from serve.http.openapi import answered_with, error_answers
from serve.http.openapi_answers import FeedbackAnswer
from serve.resource_set import resources_of

routes = APIRouter()


class Feedback(BaseModel):
    """The body."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[str, Field(pattern=r"^req_[0-9a-f]{24}$", description="As in the header x-llmdeal-request-id.")]
    metric_name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")]
    value: Annotated[bool | float, Field(description="A number; true and false count as 1 and 0.")]
    comment: Annotated[str | None, Field(max_length=2_000, pattern=r"^[^\x00]*$")] = None


@routes.post(
    "/v1/feedback",
    status_code=202,
    summary="Say how good an answer was",
    response_model=None,
    responses={202: answered_with(FeedbackAnswer), **error_answers(400, 401, 404)},
)
async def give_feedback(feedback: Feedback, request: Request) -> dict[str, Any]:
    """Store one piece of feedback. It may come late and more than once; all of it is kept.

    Raises:
        NotFoundError: No request with this id was answered here.
    """
    resources = resources_of(request.app)
    holder = authenticate(request, resources.key_ring)
    value = float(feedback.value)
    if not math.isfinite(value):
        raise BadRequestError("value must be a finite number", param="value")
    if await _account_of(feedback.request_id, request) != holder.account:
        raise NotFoundError(f"no request {feedback.request_id!r} was answered here", param="request_id")
    row = FeedbackRow(
        request_id=feedback.request_id,
        metric_name=feedback.metric_name,
        value=value,
        comment=feedback.comment,
        given_by=holder.virtual_key_id,
        received_at=resources.clock.now(),
    )
    return {"request_id": feedback.request_id, "is_recorded": resources.telemetry.record(row)}


async def _account_of(request_id: str, request: Request) -> str | None:
    resources = resources_of(request.app)
    account = await asyncio.to_thread(resources.attempts.account_of, request_id)
    if account is None:  # the row may still wait for its batch
        await resources.telemetry.flush()
        account = await asyncio.to_thread(resources.attempts.account_of, request_id)
    return account
