"""`POST /v1/feedback`: a judgement of an answer, from a person or an automatic check."""

import asyncio
import math
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Request
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, model_validator

from router.reward import REWARD_RULES
from router.telemetry_schema import FeedbackRow
from serve.errors import BadRequestError, NotFoundError
from serve.gateway import resources_of
from serve.http.admission import conversation_id_of
from serve.http.authentication import authenticate
from serve.http.openapi_responses import answered_with, error_answers
from serve.http.struct_response import StructResponse

routes = APIRouter()

MAX_REQUESTS = 100
"""Number of a conversation's latest answers that one call judges at most."""


class Feedback(BaseModel):
    """The body: the name of an answer or conversation, and at least one judgement of it."""

    model_config = ConfigDict(extra="forbid")

    request_id: Annotated[
        str | None,
        Field(pattern=r"^req_[0-9a-f]{24}$", description="Request id, as in the header x-llmdeal-request-id."),
    ] = None
    session_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description="Instead of a request: the conversation, by the session id that you sent with it.",
        ),
    ] = None
    conversation_id: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-f]{24}$", description="Instead of a request: the conversation, by its id in the log."),
    ] = None
    applies_to: Annotated[
        Literal["last", "all"],
        Field(description=f"Answers of a conversation: the last one, or the latest {MAX_REQUESTS}."),
    ] = "last"
    thumbs: Literal["up", "down"] | None = None
    score: Annotated[float | None, Field(ge=0, le=1, description="Quality of the answer, by your own measure.")] = None
    metric_name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$",
            description="Name of any other metric, with its value.",
        ),
    ] = None
    value: Annotated[
        bool | float | None, Field(description="Value of that metric; true and false count as 1 and 0.")
    ] = None
    comment: Annotated[str | None, Field(max_length=2_000, pattern=r"^[^\x00]*$")] = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        named = [self.request_id, self.session_id, self.conversation_id]
        if sum(name is not None for name in named) != 1:
            raise ValueError("name the answer by one of request_id, session_id and conversation_id")
        if (self.metric_name is None) != (self.value is None):
            raise ValueError("metric_name and value belong together")
        if not self.judgements:
            raise ValueError("say how good the answer was: thumbs, score, or metric_name and value")
        return self

    @property
    def judgements(self) -> dict[str, float]:
        """The judgements: metric -> value."""
        values: dict[str, float] = {}
        if self.thumbs is not None:
            values["thumbs"] = float(self.thumbs == "up")
        if self.score is not None:
            values["score"] = self.score
        if self.metric_name is not None and self.value is not None:
            values[self.metric_name] = float(self.value)
        return values


class FeedbackAnswer(Struct):
    """What became of the feedback; not recorded means that the log had no room for it."""

    request_id: str
    request_ids: list[str]
    is_recorded: bool


@routes.post(
    "/v1/feedback",
    status_code=202,
    summary="Say how good an answer was",
    response_model=None,
    responses={202: answered_with(FeedbackAnswer), **error_answers(400, 401, 404)},
)
async def give_feedback(feedback: Feedback, request: Request) -> StructResponse:
    """Store judgements of an answer or a conversation. They may come late and more than once; all are kept.

    Raises:
        BadRequestError: A value is out of its metric's range.
        NotFoundError: The gateway gave no such answer.
    """
    resources = resources_of(request.app)
    holder = authenticate(request, resources.key_ring)
    judgements = feedback.judgements
    for metric_name, value in judgements.items():
        _check_range(metric_name, value)
    request_ids = await _request_ids(feedback, request, holder.account)
    now = resources.clock.now()
    rows = [
        FeedbackRow(
            request_id=request_id,
            metric_name=metric_name,
            value=value,
            comment=feedback.comment,
            given_by=holder.virtual_key_id,
            received_at=now,
        )
        for request_id in request_ids
        for metric_name, value in judgements.items()
    ]
    recorded = [resources.telemetry.record(row) for row in rows]
    return StructResponse(FeedbackAnswer(request_ids[0], request_ids, all(recorded)), 202)


def _check_range(metric_name: str, value: float) -> None:
    """Refuse values out of the range of a metric that the reward uses. Other metrics take any finite number.

    Raises:
        BadRequestError: The value is out of range.
    """
    if not math.isfinite(value):
        raise BadRequestError("value is not a finite number. Send a number.", param="value")
    rule = REWARD_RULES.get(metric_name)
    if rule is not None and not rule.value_range[0] <= value <= rule.value_range[1]:
        least, most = rule.value_range
        raise BadRequestError(f"{metric_name} is {value:g}. Send a value from {least:g} to {most:g}.", param="value")


async def _request_ids(feedback: Feedback, request: Request, account: str) -> list[str]:
    """Return the ids of the requests that are judged, the latest first.

    Raises:
        NotFoundError: This account has no such request.
    """
    resources = resources_of(request.app)
    if feedback.request_id is not None:
        if await _account_of(feedback.request_id, request) != account:
            raise NotFoundError(f"no request {feedback.request_id!r} was answered here", param="request_id")
        return [feedback.request_id]
    conversation_id = feedback.conversation_id or conversation_id_of(account, feedback.session_id or "")
    await resources.telemetry.flush()  # the last answer may still wait for its batch
    limit = 1 if feedback.applies_to == "last" else MAX_REQUESTS
    request_ids = await asyncio.to_thread(resources.attempts.answers_of_conversation, account, conversation_id, limit)
    if not request_ids:
        param = "conversation_id" if feedback.session_id is None else "session_id"
        raise NotFoundError("no request of this conversation was answered here", param=param)
    return request_ids


async def _account_of(request_id: str, request: Request) -> str | None:
    resources = resources_of(request.app)
    account = await asyncio.to_thread(resources.attempts.account_of, request_id)
    if account is None:  # the row may still wait for its batch
        await resources.telemetry.flush()
        account = await asyncio.to_thread(resources.attempts.account_of, request_id)
    return account
