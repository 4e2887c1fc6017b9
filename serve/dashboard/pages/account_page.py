"""`/account` and `/audit`: an account's settings and members, all accounts for operators; and the audit log."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from serve.dashboard.forms import Form, check_form, read_form
from serve.dashboard.page import redirect, render_page
from serve.dashboard.viewer import Viewer, owning_viewer_of, viewer_of
from serve.errors import RequestError
from serve.gateway import ResourceSet, resources_of
from serve.identity.account_desk import Membership
from serve.identity.roles import Role, role_of

routes = APIRouter(include_in_schema=False)

_ENTRIES_A_PAGE = 100
_LONGEST_TITLE = 200
_DONE = {
    "member": "The member is set.",
    "removed": "The person is no longer in this account.",
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
    """Add a person, or change what a member may do."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        member = _member(form, role_of(form.get("role", "")))
        resources.desks.accounts.set_member(viewer.account, member, viewer.actor)
        return redirect("/account?done=member")

    return _changed(request, form, work)


@routes.post("/account/members/remove")
def remove_member(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Take a person out of the account."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        resources.desks.accounts.remove_member(viewer.account, form.get("email", ""), viewer.actor)
        return redirect("/account?done=removed")

    return _changed(request, form, work)


@routes.post("/account")
def change_account(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Change the account's title, its time zone, and how much of its requests is logged."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        title = form.get("title", "").strip()[:_LONGEST_TITLE] or viewer.account
        changed: dict[str, str | None] = {"title": title, "time_zone": form.get("time_zone", "")}
        if "logged_content" in form:
            changed["logged_content"] = form["logged_content"] or None
        resources.desks.accounts.change(viewer.account, viewer.actor, **changed)
        return redirect("/account?done=changed")

    return _changed(request, form, work)


@routes.post("/account/forget")
def forget_telemetry(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Delete what was logged of the account's requests."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        resources.erasure.forget(viewer.account, viewer.actor.name, has_rows=form.get("what") == "rows")
        return redirect("/account?done=forgotten")

    return _changed(request, form, work)


@routes.post("/accounts")
def open_account(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Open another account, with its owner if the form names one."""

    def work(resources: ResourceSet, viewer: Viewer) -> Response:
        resources.desks.accounts.open(
            form.get("account", "").strip(),
            viewer.actor,
            title=form.get("title", "").strip()[:_LONGEST_TITLE],
            time_zone=form.get("time_zone", "") or "UTC",
            owner=_member(form, Role.OWNER) if form.get("email") else None,
        )
        return redirect("/account?done=opened")

    return _changed(request, form, work)


@routes.get("/audit")
def show_audit(request: Request) -> Response:
    """Show the audit log, the newest entry first."""
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


def _member(form: Form, role: Role) -> Membership:
    return Membership(form.get("email", ""), role, form.get("password") or None)


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
