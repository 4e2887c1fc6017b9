"""`/keys`: the provider keys and virtual keys of an account, and the forms that change them."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.viewer import Viewer, changing_viewer_of, viewer_of
from serve.dashboard.views.keys_view import key_lines, provider_key_lines
from serve.errors import BadRequestError, RequestError, VaultError
from serve.gateway import ResourceSet, resources_of
from serve.identity.virtual_key_desk import IssuedKey, KeyTerms
from serve.money.usd_amount import usd_of_text

routes = APIRouter(include_in_schema=False)

_DONE = {
    "stored": "The key is sealed and stored. Its lanes answer from now on.",
    "accepted": "The provider accepts the key.",
    "refused": "The provider refuses the key.",
    "unknown": "The provider could not be asked. The key is stored anyway.",
    "switched": "Done. The gateway follows at once.",
    "removed": "The key is deleted for good.",
    "revoked": "The key is refused from now on.",
}
_TAKES_PATTERNS = 20


@routes.get("/keys")
def show_keys(request: Request) -> Response:
    """Show an account's keys."""
    return _page(request, viewer_of(request))


@routes.post("/keys/provider")
def store_provider_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Store a provider key, with a budget if the form has one, and ask the provider whether it accepts the key."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        desk = resources.desks.provider_keys
        key = desk.store(
            viewer.account,
            form.get("provider") or None,
            form.get("name", "").strip() or "main",
            form.get("key", ""),
            viewer.actor,
            organisation=form.get("organisation", "").strip() or None,
            base_url=form.get("base_url", "").strip() or None,
            region=form.get("region") or None,
            budget_usd=_budget(form),
        )
        outcome = desk.test(viewer.account, key.provider, key.name, viewer.actor)
        return _back(form, outcome.partition(":")[0])

    return _changed(request, form, work)


@routes.post("/keys/provider/test")
def test_provider_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Ask the provider whether it accepts a key."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        outcome = resources.desks.provider_keys.test(viewer.account, *_provider_key(form), viewer.actor)
        return redirect(f"/keys?done={outcome.partition(':')[0]}")

    return _changed(request, form, work)


@routes.post("/keys/provider/switch")
def switch_provider_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Switch a key on or off."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        desk, is_enabled = resources.desks.provider_keys, form.get("to") == "on"
        desk.change(viewer.account, *_provider_key(form), viewer.actor, is_enabled=is_enabled)
        return _back(form, "switched")

    return _changed(request, form, work)


@routes.post("/keys/provider/remove")
def remove_provider_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Delete a key for good."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        resources.desks.provider_keys.remove(viewer.account, *_provider_key(form), viewer.actor)
        return _back(form, "removed")

    return _changed(request, form, work)


@routes.post("/keys/virtual")
def issue_virtual_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Issue a virtual key and show its secret, this once."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        name, terms = form.get("name", "").strip(), _terms(form, resources)
        issued = resources.desks.virtual_keys.issue(viewer.account, name, terms, viewer.actor, budget_usd=_budget(form))
        return _page(request, viewer, issued=issued)

    return _changed(request, form, work)


@routes.post("/keys/virtual/rotate")
def rotate_virtual_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Issue a new secret for a key and show it, this once; the old one is accepted for another day."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        desk, one_day = resources.desks.virtual_keys, timedelta(days=1)
        return _page(request, viewer, issued=desk.rotate(viewer.account, form.get("name", ""), one_day, viewer.actor))

    return _changed(request, form, work)


@routes.post("/keys/virtual/revoke")
def revoke_virtual_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Refuse a key from now on."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        resources.desks.virtual_keys.revoke(viewer.account, form.get("name", ""), viewer.actor)
        return _back(form, "revoked")

    return _changed(request, form, work)


def _changed(request: Request, form: Form, work: Callable[[ResourceSet, Viewer], Response]) -> Response:
    """Do what a form asks for, or show what is wrong with it."""
    viewer = changing_viewer_of(request)
    check_form(request, viewer, form)
    try:
        return work(resources_of(request.app), viewer)
    except RequestError as error:
        return _page(request, viewer, error.status, problem=error.message)
    except VaultError as error:
        return _page(request, viewer, 503, problem=str(error))


def _back(form: Form, done: str) -> Response:
    """Go back to the page that the form was on."""
    return redirect(f"/{'start' if form.get('from') == 'start' else 'keys'}?done={done}")


def _provider_key(form: Form) -> tuple[str, str]:
    """Return the provider and the name of the key that a form is about."""
    return form.get("provider", ""), form.get("name", "")


def _budget(form: Form) -> Decimal | None:
    text = form.get("usd", "").strip()
    return usd_of_text(text) if text else None


def _terms(form: Form, resources: ResourceSet) -> KeyTerms:
    def words(name: str) -> tuple[str, ...]:
        return tuple(form.get(name, "").replace(",", " ").split())[:_TAKES_PATTERNS]

    def number(name: str) -> int | None:
        text = form.get(name, "").strip().replace(",", "")
        if (text and not text.isascii()) or (text and not text.isdigit()):
            raise BadRequestError(f"{name.replace('_', ' ')}: {text!r} is no whole number", param=name)
        return int(text) if text else None

    days = number("days")
    if days is not None and not 1 <= days <= 3_650:
        raise BadRequestError("days: between 1 and 3650, or nothing for a key that does not expire", param="days")
    return KeyTerms(
        scopes=words("scopes") or ("inference",),
        lanes=words("lanes"),
        tags=words("tags"),
        requests_per_minute=number("requests_per_minute"),
        tokens_per_minute=number("tokens_per_minute"),
        expires_at=None if days is None else resources.clock.now() + timedelta(days=days),
    )


def _page(
    request: Request, viewer: Viewer, status: int = 200, problem: str = "", issued: IssuedKey | None = None
) -> Response:
    resources = resources_of(request.app)
    return render_page(
        request, viewer, "keys.html", status, **keys_shown(request, resources, viewer), problem=problem, issued=issued
    )


def keys_shown(request: Request, resources: ResourceSet, viewer: Viewer) -> dict[str, Any]:
    """Return what the page of keys and the page of first steps show of an account's keys."""
    identity, now = resources.identity, resources.clock.now()
    states = {state.scope: state for state in resources.desks.budgets.states(viewer.account)}
    return {
        "provider_keys": provider_key_lines(identity.provider_keys.repository.of_account(viewer.account), states),
        "virtual_keys": key_lines(identity.virtual_keys.of_account(viewer.account), states, now),
        "refused_keys": resources.refused_keys.of(viewer.account),
        "providers": identity.provider_keys.providers(),
        "can_store": identity.vault.is_open,
        "done": _DONE.get(request.query_params.get("done", ""), ""),
    }
