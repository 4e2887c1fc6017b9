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

from serve.http.admission import HOLDER_KEY
from serve.identity.virtual_keys import ANONYMOUS
from serve.jobs.calibrate.grading import is_right
from serve.jobs.calibrate.questions import Question

TAG = "calibration"
_PARALLEL = 4
_PATH = "/v1/chat/completions"


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


class _Problem(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Problem


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question and the result of asking it.

    Args:
        question: Question that was asked.
        score: 1: right, 0: wrong; None: there was no answer.
        completion_tokens: Length of the answer; None: unknown.
        cost_usd: Cost of the answer; None: unknown.
        problem: Reason why there was no answer; empty: there was one.
        is_cut: Whether the answer ended at the token limit.
    """

    question: Question
    score: float | None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None
    problem: str = ""
    is_cut: bool = False


async def ask_questions(
    app: FastAPI, lane_id: str, questions: Sequence[Question], max_tokens: int, advance: Callable[[], None]
) -> list[AskedQuestion]:
    """Ask all questions, four at a time, and return the results in the same order.

    Args:
        app: Gateway that takes requests without a virtual key; it is started and stopped here.
        lane_id: Lane that is asked.
        questions: Questions to ask.
        max_tokens: Limit on each answer.
        advance: Function that is called after each question.
    """
    gate = asyncio.Semaphore(_PARALLEL)

    async def ask(question: Question) -> AskedQuestion:
        async with gate:
            asked = await _ask(app, lane_id, question, max_tokens)
        advance()
        return asked

    async with app.router.lifespan_context(app):
        return list(await asyncio.gather(*map(ask, questions)))


async def _ask(app: FastAPI, lane_id: str, question: Question, max_tokens: int) -> AskedQuestion:
    body = {
        "model": lane_id,
        "messages": [{"role": "user", "content": question.prompt}],
        "max_completion_tokens": max_tokens,
        "provider": {"allow_fallbacks": False},
    }
    status, content = await post_chat(app, msgspec.json.encode(body), TAG)
    if status != 200:
        return AskedQuestion(question, None, problem=msgspec.json.decode(content, type=_Refusal).error.message)
    completion = msgspec.json.decode(content, type=_Completion)
    choice = completion.choices[0]
    cost = None if completion.usage.cost is None else Decimal(str(completion.usage.cost))
    answer = choice.message.content or ""
    score = float(await asyncio.to_thread(is_right, answer, question.answer, question.grader))
    return AskedQuestion(
        question, score, completion.usage.completion_tokens, cost, is_cut=choice.finish_reason == "length"
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
