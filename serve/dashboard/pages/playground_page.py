"""`/playground`: a prompt, the decision before it is sent, and the answer, next to that of a pinned model.

It works as a plain form. With the script it streams.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.inner_call import InnerStream, ask
from serve.dashboard.page import render_page
from serve.dashboard.page_errors import PageError
from serve.dashboard.viewer import Viewer, changing_viewer_of, directory_of, viewer_of
from serve.dashboard.views.playground_view import (
    SMART_ROUTE,
    AnswerAfter,
    DecisionBefore,
    PlaygroundForm,
    answer_after,
    decision_before,
    read_playground_form,
)
from serve.gateway import resources_of

routes = APIRouter(include_in_schema=False)

_CHAT, _ROUTE = "/v1/chat/completions", "/v1/route"


@routes.get("/playground")
def open_playground(request: Request) -> Response:
    """Show the empty form."""
    return _page(
        request, viewer_of(request), "playground.html", PlaygroundForm(prompt=request.query_params.get("prompt", ""))
    )


@routes.post("/playground")
async def play(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Decide, ask, and show both."""
    viewer = changing_viewer_of(request)
    check_form(request, viewer, form)
    wanted = read_playground_form(form)
    if wanted.mistakes:
        return await run_in_threadpool(_page, request, viewer, "playground.html", wanted, status=400)
    before, problem = await _decide(request, viewer, wanted)
    models = [SMART_ROUTE, *([wanted.beside] if wanted.beside else [])]
    answers = await asyncio.gather(*(ask(request, viewer, _CHAT, wanted.body(model)) for model in models))
    after = [answer_after(model, answer) for model, answer in zip(models, answers, strict=True)]
    return await run_in_threadpool(_page, request, viewer, "playground.html", wanted, before, after, problem)


@routes.post("/playground/decision")
async def decide_only(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Return only the decision, as a part of the page."""
    viewer = changing_viewer_of(request)
    check_form(request, viewer, form)
    wanted = read_playground_form(form)
    before, problem = (None, " ".join(wanted.mistakes)) if wanted.mistakes else await _decide(request, viewer, wanted)
    return await run_in_threadpool(_page, request, viewer, "playground_decision.html", wanted, before, problem=problem)


@routes.post("/playground/answer")
async def stream_answer(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Stream one answer as `/v1/chat/completions` does, of the lane or model in the field `model`."""
    viewer = changing_viewer_of(request)
    check_form(request, viewer, form)
    wanted = read_playground_form(form)
    if wanted.mistakes:
        raise PageError(400, "The form is incomplete", " ".join(wanted.mistakes))
    body = wanted.body(form.get("model") or SMART_ROUTE, is_streaming=True)
    return InnerStream(request, viewer, _CHAT, body)


async def _decide(request: Request, viewer: Viewer, wanted: PlaygroundForm) -> tuple[DecisionBefore | None, str]:
    answer = await ask(request, viewer, _ROUTE, wanted.body(SMART_ROUTE))
    return decision_before(answer), answer.error


def _page(
    request: Request,
    viewer: Viewer,
    template: str,
    wanted: PlaygroundForm,
    before: DecisionBefore | None = None,
    after: list[AnswerAfter] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    directory = directory_of(resources_of(request.app), viewer)
    return render_page(
        request,
        viewer,
        template,
        status,
        wanted=wanted,
        before=before,
        after=after or [],
        problem=problem,
        choices=sorted({*directory.choosable.lane_ids, *(lane.vendor_model for lane in directory.table.lanes)}),
    )
