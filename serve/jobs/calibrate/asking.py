"""Asks a lane the questions through the gateway itself.

So retries, costs and telemetry are the same as for any other request.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from fastapi import FastAPI

from router.lane import Lane
from router.lane_table import ASSUMED_CONTEXT_TOKENS
from router.text_window import estimate_tokens
from serve.errors import NoLaneError
from serve.http.admission import HOLDER_KEY
from serve.identity.virtual_keys import ANONYMOUS
from serve.jobs.calibrate.grading import is_right
from serve.jobs.calibrate.questions import Question
from serve.proxy.attempt_money import UNCHARGED_OUTCOMES

TAG = "calibration"
_PARALLEL = 4
_PATH = "/v1/chat/completions"
_TEMPLATE_TOKENS = 100
"""Room in the context for the provider's own template."""
_HOPELESS = frozenset({400, 401, 402, 403, 404, 405, 422})


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    completion_tokens: int | None = None
    cost: float | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage


class _FailedAttempt(msgspec.Struct):
    outcome: str
    status: int | None = None


class _Problem(msgspec.Struct):
    message: str
    code: str | None = None
    attempts: tuple[_FailedAttempt, ...] = ()


class _Refusal(msgspec.Struct):
    error: _Problem


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question and the result of asking it.

    Args:
        question: Question that was asked.
        score: 1: right, 0: wrong; None: there was no answer.
        completion_tokens: Length of the answer; None: unknown.
        cost_usd: Cost of the answer, or of the attempt that failed; None: unknown.
        problem: Reason why there was no answer; empty: there was one.
        is_cut: Whether the answer ended at the token limit.
        is_hopeless: Whether the provider refused the question in a way that another try does not change.
    """

    question: Question
    score: float | None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    problem: str = ""
    is_cut: bool = False
    is_hopeless: bool = False


async def ask_questions(
    app: FastAPI, lane: Lane, questions: Sequence[Question], max_tokens: int, advance: Callable[[], None]
) -> list[AskedQuestion]:
    """Ask all questions, four at a time, and return the results in the same order.

    Args:
        app: Gateway that takes requests without a virtual key; it is started and stopped here.
        lane: Lane that is asked.
        questions: Questions to ask.
        max_tokens: Limit on each answer.
        advance: Function that is called after each question.
    """
    gate = asyncio.Semaphore(_PARALLEL)

    async def ask(question: Question) -> AskedQuestion:
        async with gate:
            asked = await ask_question(app, lane, question, max_tokens)
        advance()
        return asked

    async with app.router.lifespan_context(app):
        return list(await asyncio.gather(*map(ask, questions)))


def answer_limit(lane: Lane, question: Question, max_tokens: int) -> int:
    """Return the limit on an answer, in tokens: `max_tokens`, or what the lane has room for next to the question."""
    context = lane.context_tokens or ASSUMED_CONTEXT_TOKENS
    room = context - estimate_tokens(len(question.prompt)) - _TEMPLATE_TOKENS
    return max(1, min(max_tokens, room, lane.max_output_tokens or max_tokens))


async def ask_question(app: FastAPI, lane: Lane, question: Question, max_tokens: int) -> AskedQuestion:
    """Ask one question and grade the answer.

    Args:
        app: Running gateway that takes requests without a virtual key.
        lane: Lane that is asked.
        question: Question to ask.
        max_tokens: Limit on the answer, if the lane has room for it.
    """
    body = {
        "model": lane.lane_id,
        "messages": [{"role": "user", "content": question.prompt}],
        "max_completion_tokens": answer_limit(lane, question, max_tokens),
        "provider": {"allow_fallbacks": False},
    }
    status, content = await post_chat(app, msgspec.json.encode(body), TAG)
    if status != 200:
        return _unanswered(question, msgspec.json.decode(content, type=_Refusal).error)
    completion = msgspec.json.decode(content, type=_Completion)
    choice = completion.choices[0]
    cost = None if completion.usage.cost is None else Decimal(str(completion.usage.cost))
    answer = choice.message.content or ""
    score = float(await asyncio.to_thread(is_right, answer, question.answer, question.grader))
    return AskedQuestion(
        question, score, completion.usage.completion_tokens, cost, is_cut=choice.finish_reason == "length"
    )


def _unanswered(question: Question, problem: _Problem) -> AskedQuestion:
    is_free = all(attempt.outcome in UNCHARGED_OUTCOMES for attempt in problem.attempts)
    statuses = [attempt.status for attempt in problem.attempts if attempt.status is not None]
    shown = f" (status {statuses[-1]})" if statuses else ""
    return AskedQuestion(
        question,
        None,
        cost_usd=Decimal(0) if is_free else None,
        problem=problem.message + shown,
        is_hopeless=(bool(statuses) and statuses[-1] in _HOPELESS) or problem.code == NoLaneError.code,
    )


async def post_chat(app: FastAPI, body: bytes, tag: str) -> tuple[int, bytes]:
    """Send a chat request to the gateway in this process, logged under this tag. Return (status, body).

    It needs no virtual key: the operator of the gateway sends it.
    """
    parts: list[bytes] = []
    status = 0
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()  # the caller stays until the answer comes
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": _PATH,
        "raw_path": _PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"x-llmdeal-tags", tag.encode())],
        "client": (tag, 0),
        "server": ("llmdeal", 0),
        HOLDER_KEY: ANONYMOUS,
    }
    await app(scope, receive, send)
    return status, b"".join(parts)
