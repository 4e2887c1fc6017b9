"""`/keys`: provider keys and virtual keys; stored, tested, issued, rotated, revoked."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from anyio import from_thread
from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.pages.budgets_page import amount_of
from serve.dashboard.viewer import Viewer, changing_viewer_of, viewer_of
from serve.dashboard.views.keys_view import key_lines, provider_key_lines
from serve.errors import BadRequestError, RequestError, VaultError
from serve.gateway import ResourceSet, resources_of
from serve.http.admin.common import account_budgets
from serve.http.admin.virtual_keys import check_scopes
from serve.identity.issued_keys import IssuedKey, KeyTerms
from serve.money.scopes import provider_key_scope, virtual_key_scope

routes = APIRouter(include_in_schema=False)

_DONE = {
    "stored": "The key is sealed and stored; its lanes answer from now on.",
    "accepted": "The provider takes the key.",
    "refused": "The provider refuses the key.",
    "unknown": "The provider could not be asked; the key is stored all the same.",
    "switched": "Done; the gateway follows at once.",
    "removed": "The key is gone for good.",
    "revoked": "The key is refused from now on.",
}
_TAKES_PATTERNS = 20


@routes.get("/keys")
def show_keys(request: Request) -> Response:
    """Show an account's keys."""
    return _page(request, viewer_of(request))


@routes.post("/keys/provider")
def store_provider_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Store a provider key, with a budget where one is given, and ask the provider whether it takes it."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        budget = _optional_amount(form.get("usd", ""))
        keys = resources.identity.provider_keys
        key = keys.add(
            viewer.account,
            form.get("provider") or None,
            form.get("name", "").strip() or "main",
            form.get("key", ""),
            viewer.actor.name,
            organisation=form.get("organisation", "").strip() or None,
            base_url=_own_address(form, viewer),
            region=form.get("region") or None,
        )
        if budget is not None:
            account_budgets(resources).set(viewer.account, provider_key_scope(key.payer), budget, viewer.actor)
        outcome = keys.test(viewer.account, key.provider, key.name)
        return _followed(resources, form, outcome.partition(":")[0])

    return _changed(request, form, work)


@routes.post("/keys/provider/test")
def test_provider_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Ask the provider whether it takes a key."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        outcome = resources.identity.provider_keys.test(viewer.account, form.get("provider", ""), form.get("name", ""))
        return redirect(f"/keys?done={outcome.partition(':')[0]}")

    return _changed(request, form, work)


@routes.post("/keys/provider/switch")
def switch_provider_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Use a key, or leave it out."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        is_enabled = form.get("to") == "on"
        keys = resources.identity.provider_keys
        keys.change(
            viewer.account, form.get("provider", ""), form.get("name", ""), viewer.actor.name, is_enabled=is_enabled
        )
        return _followed(resources, form, "switched")

    return _changed(request, form, work)


@routes.post("/keys/provider/remove")
def remove_provider_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Delete a key for good."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        keys = resources.identity.provider_keys.repository
        keys.remove(viewer.account, form.get("provider", ""), form.get("name", ""), viewer.actor.name)
        return _followed(resources, form, "removed")

    return _changed(request, form, work)


@routes.post("/keys/virtual")
def issue_virtual_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Issue a virtual key and show it, this once."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        budget = _optional_amount(form.get("usd", ""))
        terms = _terms(form, resources)
        check_scopes(viewer.account, terms.scopes, viewer.actor)
        issued = resources.identity.issued_keys.issue(
            viewer.account, form.get("name", "").strip(), terms, viewer.actor.name
        )
        if budget is not None:
            scope = virtual_key_scope(issued.key.virtual_key_id)
            account_budgets(resources).set(viewer.account, scope, budget, viewer.actor)
        from_thread.run(resources.follower.refresh)
        return _page(request, viewer, issued=issued)

    return _changed(request, form, work)


@routes.post("/keys/virtual/rotate")
def rotate_virtual_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Issue a new secret for a key and show it, this once; the old one stays good for a day."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        keys, name = resources.identity.issued_keys, form.get("name", "")
        check_scopes(viewer.account, keys.repository.find(viewer.account, name).scopes, viewer.actor)
        issued = keys.rotate(viewer.account, name, timedelta(days=1), viewer.actor.name)
        from_thread.run(resources.follower.refresh)
        return _page(request, viewer, issued=issued)

    return _changed(request, form, work)


@routes.post("/keys/virtual/revoke")
def revoke_virtual_key(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Refuse a key from now on."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        resources.identity.issued_keys.repository.revoke(viewer.account, form.get("name", ""), viewer.actor.name)
        return _followed(resources, form, "revoked")

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
    except InvalidOperation:
        return _page(request, viewer, 400, problem=f"{form.get('usd', '')!r} is no amount: write 60 or 12.50.")


def _followed(resources: ResourceSet, form: Form, done: str) -> Response:
    """Use the change in this worker, then go back to the page that the form was on."""
    from_thread.run(resources.follower.refresh)
    return redirect(f"/{'start' if form.get('from') == 'start' else 'keys'}?done={done}")


def _optional_amount(text: str) -> Decimal | None:
    return amount_of(text) if text.strip() else None


def _own_address(form: Form, viewer: Viewer) -> str | None:
    base_url = form.get("base_url", "").strip() or None
    if base_url is not None and not base_url.startswith("https://"):
        viewer.actor.require_operator()  # the operator's own network is not everybody's to reach
    return base_url


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
    """Return what the keys' page and the first steps show of an account's keys."""
    identity, now = resources.identity, resources.clock.now()
    states = {state.scope: state for state in account_budgets(resources).states(viewer.account)}
    return {
        "provider_keys": provider_key_lines(identity.provider_keys.repository.of_account(viewer.account), states),
        "virtual_keys": key_lines(identity.issued_keys.repository.of_account(viewer.account), states, now),
        "providers": identity.provider_keys.providers(),
        "can_store": identity.vault.is_open,
        "done": _DONE.get(request.query_params.get("done", ""), ""),
    }
