"""`/router/…`: promote, roll back, try and stop bundles, for admins of the account that runs the gateway."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response

from serve.bundles.bundle_keeper import BundleKeeper
from serve.bundles.staging import Standing
from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect
from serve.dashboard.page_errors import PageError
from serve.dashboard.pages.router_page import render_router
from serve.dashboard.viewer import Viewer, viewer_of
from serve.dashboard.views.bundles_view import bundle_lines, history_lines
from serve.errors import BadRequestError, RequestError
from serve.gateway import ResourceSet, resources_of
from serve.identity.roles import Role
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

routes = APIRouter(include_in_schema=False)


@routes.post("/router/promote")
def promote(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Make a bundle the champion."""
    is_forced, note = form.get("force") == "yes", form.get("note", "")
    return _changed(
        request,
        form,
        lambda keeper, actor: keeper.promote(form.get("bundle", ""), actor, is_forced=is_forced, note=note),
    )


@routes.post("/router/rollback")
def roll_back(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Go back to the champion before."""
    return _changed(request, form, lambda keeper, actor: keeper.rollback(actor, note=form.get("note", "")))


@routes.post("/router/try")
def try_bundle(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Try a bundle as a canary or as a shadow."""
    name, note = form.get("bundle", ""), form.get("note", "")

    def work(keeper: BundleKeeper, actor: str) -> Standing:
        share = _share_of(form.get("percent", ""))
        if form.get("stage") == "shadow":
            return keeper.try_shadow(name, actor, share=share, note=note)
        return keeper.try_canary(name, share, actor, note=note)

    return _changed(request, form, work)


@routes.post("/router/stop")
def stop(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """End a trial."""
    stage: Literal["canary", "shadow"] = "shadow" if form.get("stage") == "shadow" else "canary"
    return _changed(request, form, lambda keeper, actor: keeper.stop(actor, stage))


def _changed(request: Request, form: Form, work: Callable[[BundleKeeper, str], object]) -> Response:
    """Do what a form asks for, or show the problem."""
    viewer = viewer_of(request)
    if not may_change_bundles(viewer):
        raise PageError(403, "You may look but not change", "Ask an admin of the account that runs the gateway.")
    check_form(request, viewer, form)
    try:
        resources_of(request.app).bundle_desk.change(lambda keeper: work(keeper, viewer.actor.name))
    except RequestError as error:
        return render_router(request, viewer, error.status, bundles_shown(request, viewer), problem=error.message)
    return redirect("/router?done=changed#bundles")


def may_change_bundles(viewer: Viewer) -> bool:
    """Return whether a viewer may choose the bundle that decides."""
    return (viewer.actor.role_in(DEFAULT_ACCOUNT) or 0) >= Role.ADMIN


@routes.get("/router")
def show_router(request: Request) -> Response:
    """Show the quality model that decides, and the others."""
    viewer = viewer_of(request)
    return render_router(request, viewer, 200, bundles_shown(request, viewer))


def bundles_shown(request: Request, viewer: Viewer) -> dict[str, Any] | None:
    """Return the values of the page about bundles.

    None: the viewer is not in the operator's account, and sees only the champion.
    """
    if viewer.actor.role_in(DEFAULT_ACCOUNT) is None:
        return None
    resources: ResourceSet = resources_of(request.app)
    keeper, live = resources.bundle_keeper, resources.bundles
    entries, staging = keeper.history.entries(), live.staging
    return {
        "lines": bundle_lines(keeper.store.all(), staging, live.champion.generation.version),
        "history": history_lines(entries),
        "refused": {stage: refused.problem for stage, refused in live.loader.refused.items()},
        "on_trial": [stage for stage, standing in (("canary", staging.canary), ("shadow", staging.shadow)) if standing],
        "can_roll_back": bool(staging.promoted),
        "may_change": may_change_bundles(viewer),
        "folder": keeper.store.folder,
        "is_done": request.query_params.get("done") == "changed",
    }


def _share_of(text: str) -> float:
    try:
        return float(text.strip().removesuffix("%")) / 100
    except ValueError:
        raise BadRequestError(f"{text!r} is not a percentage. Write 10 or 2.5.", param="percent") from None
