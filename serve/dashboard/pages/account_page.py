"""`/account` and `/audit`: who is in an account, its settings, for operators all accounts; and who changed what."""

from collections.abc import Callable
from typing import Annotated, cast

from anyio import from_thread
from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.viewer import Viewer, owning_viewer_of, viewer_of
from serve.errors import BadRequestError, RequestError
from serve.gateway import ResourceSet, resources_of
from serve.http.admin.accounts import put_member
from serve.http.admin.telemetry import forget
from serve.identity.names import checked_email, checked_name, checked_zone
from serve.identity.roles import Role, role_of
from serve.identity.rows import Account
from serve.settings import CONTENT_LEVELS, ContentLogging

routes = APIRouter(include_in_schema=False)

_ENTRIES_A_PAGE = 100
_DONE = {
    "member": "The member is set.",
    "removed": "They are not in this account any more.",
    "changed": "The account is changed.",
    "forgotten": "What was logged is deleted.",
    "opened": "The account is open; its owner can sign in.",
}


@routes.get("/account")
def show_account(request: Request) -> Response:
    """Show the account, its members, and for operators the other accounts."""
    return _page(request, viewer_of(request))


@routes.post("/account/members")
def set_member(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Add a person, or change what they may do."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        put_member(
            resources.identity,
            viewer.account,
            form.get("email", ""),
            form.get("password") or None,
            _role(form),
            viewer.actor.name,
        )
        return redirect("/account?done=member")

    return _changed(request, form, work)


@routes.post("/account/members/remove")
def remove_member(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Take a person out of the account."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        resources.identity.accounts.remove_member(
            viewer.account, checked_email(form.get("email", "")), viewer.actor.name
        )
        return redirect("/account?done=removed")

    return _changed(request, form, work)


@routes.post("/account")
def change_account(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Change the account's title, its time zone, and what of its requests is logged."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        zone = checked_zone(form.get("time_zone", ""))
        title = form.get("title", "").strip()[:200] or viewer.account
        changed: dict[str, str | None] = {"title": title, "time_zone": zone}
        if "logged_content" in form:
            changed["logged_content"] = _content(form["logged_content"])
        resources.identity.accounts.change(viewer.account, viewer.actor.name, **changed)
        from_thread.run(resources.follower.refresh)
        return redirect("/account?done=changed")

    return _changed(request, form, work)


@routes.post("/account/forget")
def forget_telemetry(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Delete what was logged of the account's requests."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        forget(resources, viewer.account, viewer.actor.name, has_rows=form.get("what") == "rows")
        return redirect("/account?done=forgotten")

    return _changed(request, form, work)


@routes.post("/accounts")
def open_account(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Open another account with its owner."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        viewer.actor.require_operator()
        name = checked_name(form.get("account", "").strip(), "account")
        zone = checked_zone(form.get("time_zone", "") or "UTC")
        account = Account(
            name, form.get("title", "").strip()[:200] or name, zone, "when_spent", True, resources.clock.now()
        )
        resources.identity.accounts.add(account, viewer.actor.name)
        if form.get("email"):
            owner = role_of("owner")
            put_member(resources.identity, name, form["email"], form.get("password") or None, owner, viewer.actor.name)
        from_thread.run(resources.follower.refresh)
        return redirect("/account?done=opened")

    return _changed(request, form, work)


@routes.get("/audit")
def show_audit(request: Request) -> Response:
    """Show who changed what, the newest first."""
    viewer = viewer_of(request)
    text = request.query_params.get("before", "")
    before = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    entries = resources_of(request.app).identity.audit.entries(viewer.account, before, _ENTRIES_A_PAGE)
    has_more = len(entries) == _ENTRIES_A_PAGE
    return render_page(request, viewer, "audit.html", entries=entries, older=entries[-1].number if has_more else None)


def _changed(request: Request, form: Form, work: Callable[[ResourceSet, Viewer], Response]) -> Response:
    viewer = owning_viewer_of(request)
    check_form(request, viewer, form)
    try:
        return work(resources_of(request.app), viewer)
    except RequestError as error:
        return _page(request, viewer, error.status, error.message)


def _role(form: Form) -> Role:
    try:
        return role_of(form.get("role", ""))
    except KeyError:
        raise BadRequestError("role: viewer, admin or owner", param="role") from None


def _content(wish: str) -> ContentLogging | None:
    if wish not in ("", *CONTENT_LEVELS):
        raise BadRequestError(
            "logged_content: none, features, full, or nothing to leave it to the gateway", param="logged_content"
        )
    return cast("ContentLogging", wish) if wish else None


def _page(request: Request, viewer: Viewer, status: int = 200, problem: str = "") -> Response:
    accounts = resources_of(request.app).identity.accounts
    shown = [account for account in accounts.all() if viewer.actor.role_in(account.account) is not None]
    return render_page(
        request,
        viewer,
        "account.html",
        status,
        account=accounts.find(viewer.account),
        members=accounts.members(viewer.account),
        accounts=shown,
        problem=problem,
        done=_DONE.get(request.query_params.get("done", ""), ""),
    )
