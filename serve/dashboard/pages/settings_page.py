"""`/settings`, for operators: the settings of the gateway without secrets, and the policy.

The policy can be chosen while the gateway runs.
"""

from typing import Annotated

from anyio import from_thread
from fastapi import APIRouter, Depends, Request, Response

from router.policies.registry import DEFAULT_POLICIES
from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.page_errors import PageError
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import Viewer, owning_viewer_of, viewer_of
from serve.dashboard.views.settings_view import setting_lines
from serve.errors import BadRequestError, RequestError
from serve.gateway import resources_of
from serve.routing.chosen_policy import NUMBERS, chosen_policy
from serve.settings import environment_variable

routes = APIRouter(include_in_schema=False)


@routes.get("/settings")
def show_settings(request: Request) -> Response:
    """Show the settings."""
    viewer = viewer_of(request)
    if not viewer.actor.is_operator:
        raise PageError(403, "Only operators may see that", "Ask the operator of this gateway.")
    return _page(request, viewer)


@routes.post("/settings/policy")
def choose_policy(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Choose the policy of smart-route, or go back to the settings. Every worker follows within a second."""
    viewer = owning_viewer_of(request)
    check_form(request, viewer, form)
    resources = resources_of(request.app)
    try:
        viewer.actor.require_operator()
        if form.get("to") == "settings":
            resources.identity.policy.take_back(viewer.actor.name)
        else:
            policy = form.get("policy", "")
            resources.identity.policy.choose(
                chosen_policy(policy, _number(form.get(f"number_{policy}", ""))), viewer.actor.name
            )
    except RequestError as error:
        return _page(request, viewer, error.status, error.message)
    from_thread.run(resources.follower.refresh)
    return redirect("/settings?done=policy")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadRequestError(f"{text[:40]!r} is not a number. Write 0.05.", param="number") from None


def _page(request: Request, viewer: Viewer, status: int = 200, problem: str = "") -> Response:
    running = resources_of(request.app).policy
    values = {policy: getattr(running.effective, number.setting) for policy, number in NUMBERS.items()}
    return render_page(
        request,
        viewer,
        "settings.html",
        status,
        lines=setting_lines(dashboard_of(request.app).settings, environment_variable),
        running=running,
        policies=DEFAULT_POLICIES,
        numbers=NUMBERS,
        values=values,
        problem=problem,
        done=request.query_params.get("done") == "policy",
    )
