"""The endpoints of bundles: the bundle that decides, and the ones that are tried.

They are for the members of the account that runs the gateway.
"""

from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import Field

from serve.bundles.staging import StageEntry, Standing
from serve.bundles.store import FoundBundle
from serve.bundles.verdict_shape import verdict_shape
from serve.gateway import ResourceSet, resources_of
from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes
from serve.http.admin.shapes import Body, instant_text
from serve.http.openapi_responses import error_answers
from serve.identity.roles import Actor, Role

routes = admin_routes("bundles")
Note = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$", description="Reason; kept in the history.")]
Share = Annotated[float, Field(gt=0, le=1)]
_MOST_ENTRIES = 100


class Promotion(Body):
    """How a bundle is promoted."""

    force: Annotated[bool, Field(description="Promote it against the gate's verdict; needs a note.")] = False
    note: Note = ""


class Trial(Body):
    """How a bundle is tried."""

    share: Share = 0.1
    note: Note = ""


class ShadowTrial(Body):
    """How a bundle is tried as a shadow, whose choice is recorded and not used."""

    share: Share = 1.0
    note: Note = ""


class Reason(Body):
    """The reason of a change."""

    note: Note = ""


class Stop(Body):
    """The trial that ends."""

    stage: Annotated[Literal["canary", "shadow"] | None, Field(description="Absent: both.")] = None
    note: Note = ""


@routes.get("/bundles", summary="List bundles, what stands where, and the history", response_model=None)
def list_bundles(request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return every bundle with the gate's verdict, and where bundles stand.

    `at_work` names the bundles that decide or are tried. `refused` names the ones that this gateway cannot use.
    `history` has the changes, the latest first.
    """
    resources = _allowed(request, actor, Role.VIEWER)
    bundles, keeper = resources.bundles, resources.bundle_keeper
    return {
        "object": "list",
        "data": [bundle_shape(stored) for stored in keeper.store.all()],
        "at_work": {stage: live.generation.version for stage, live in bundles.at_work().items()},
        "refused": {stage: refused.problem for stage, refused in bundles.loader.refused.items()},
        "history": [entry_shape(entry) for entry in reversed(keeper.history.entries()[-_MOST_ENTRIES:])],
    }


@routes.get("/bundles/{name}", summary="Show a bundle, and what it would have done as a shadow", response_model=None)
def show_bundle(name: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return one bundle with the gate's verdict.

    `shadow` compares its choices as a shadow with the choices of each bundle that decided at the time.
    """
    resources = _allowed(request, actor, Role.VIEWER)
    stored = resources.bundle_keeper.store.look_at(name)
    summaries = [] if stored.bundle is None else resources.shadow_decisions.summaries(stored.bundle.version)
    fields = [{name: getattr(summary, name) for name in summary.__slots__} for summary in summaries]
    return {**bundle_shape(stored), "shadow": fields}


@routes.post(
    "/bundles/{name}/promote", summary="Make a bundle the champion", response_model=None, responses=error_answers(409)
)
def promote(name: str, body: Promotion, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Promote a bundle that the gate found better than the champion, or any with `force` and a note."""
    resources = _allowed(request, actor, Role.ADMIN)
    return standing_shape(
        resources.bundle_desk.change(
            lambda keeper: keeper.promote(name, actor.name, is_forced=body.force, note=body.note)
        )
    )


@routes.post(
    "/bundles/rollback", summary="Go back to the champion before", response_model=None, responses=error_answers(409)
)
def roll_back(body: Reason, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Go back to the champion before this one; the first one is the configured bundle."""
    resources = _allowed(request, actor, Role.ADMIN)
    return standing_shape(resources.bundle_desk.change(lambda keeper: keeper.rollback(actor.name, note=body.note)))


@routes.post(
    "/bundles/{name}/canary", summary="Try a bundle on conversations", response_model=None, responses=error_answers(409)
)
def try_canary(name: str, body: Trial, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Let a bundle decide a share of the conversations."""
    resources = _allowed(request, actor, Role.ADMIN)
    return standing_shape(
        resources.bundle_desk.change(lambda keeper: keeper.try_canary(name, body.share, actor.name, note=body.note))
    )


@routes.post(
    "/bundles/{name}/shadow", summary="Ask a bundle unheard", response_model=None, responses=error_answers(409)
)
def try_shadow(name: str, body: ShadowTrial, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Record what a bundle would do with a share of the requests."""
    resources = _allowed(request, actor, Role.ADMIN)
    return standing_shape(
        resources.bundle_desk.change(
            lambda keeper: keeper.try_shadow(name, actor.name, share=body.share, note=body.note)
        )
    )


@routes.post("/bundles/stop", summary="End what is tried", response_model=None, responses=error_answers(409))
def stop(body: Stop, request: Request, actor: AskedBy) -> dict[str, Any]:
    """End the canary, the shadow, or both."""
    resources = _allowed(request, actor, Role.ADMIN)
    ended = resources.bundle_desk.change(lambda keeper: keeper.stop(actor.name, body.stage, note=body.note))
    return {"stopped": [standing_shape(standing) for standing in ended]}


def bundle_shape(stored: FoundBundle) -> dict[str, Any]:
    """Return a bundle as JSON."""
    return {
        "name": stored.name,
        "version": None if stored.bundle is None else stored.bundle.version,
        "problem": stored.problem or None,
        "verdict": None if stored.verdict is None else verdict_shape(stored.verdict),
    }


def standing_shape(standing: Standing) -> dict[str, Any]:
    """Return where a bundle stands as JSON."""
    return {"name": standing.bundle, "version": standing.version, "share": standing.share}


def entry_shape(entry: StageEntry) -> dict[str, Any]:
    """Return a line of the history as JSON."""
    change = entry.change
    return {
        "number": entry.number,
        "at": instant_text(entry.at),
        "actor": entry.actor,
        "action": change.action,
        "stage": change.stage,
        **standing_shape(change.standing),
        "note": change.note,
        "verdict": change.verdict,
    }


def _allowed(request: Request, actor: Actor, role: Role) -> ResourceSet:
    actor.require_in_operators(role)
    return resources_of(request.app)
