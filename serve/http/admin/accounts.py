"""The endpoints of accounts and their members."""

from typing import Any

from fastapi import Request

from serve.gateway import resources_of
from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed, listed
from serve.http.admin.shapes import AccountChange, NewAccount, NewMember, account_shape, member_shape
from serve.identity.account_desk import Membership
from serve.identity.roles import Role, role_of

routes = admin_routes("accounts")


@routes.get("/accounts", summary="List the accounts that you are in; operators see all", response_model=None)
def list_accounts(request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return accounts, sorted by name."""
    accounts = resources_of(request.app).identity.accounts.all()
    return listed([account_shape(account) for account in accounts if actor.role_in(account.account) is not None])


@routes.post("/accounts", status_code=201, summary="Open an account (operators)", response_model=None)
def open_account(body: NewAccount, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Open an account and return it."""
    desk = resources_of(request.app).desks.accounts
    opened = desk.open(body.account, actor, title=body.title, time_zone=body.time_zone, hosted_lanes=body.hosted_lanes)
    return account_shape(opened)


@routes.get("/accounts/{account}", summary="Show an account", response_model=None)
def show_account(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return an account."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return account_shape(resources.identity.accounts.find(account))


@routes.patch("/accounts/{account}", summary="Change an account (owners)", response_model=None)
def change_account(account: str, body: AccountChange, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Change an account; only operators change `is_enabled` and `hosted_lanes`. `logged_content` null: no own limit."""
    desk = allowed(request, actor, account, Role.OWNER).desks.accounts
    changed = body.model_dump(exclude_unset=True, exclude_none=True)
    if "logged_content" in body.model_fields_set:
        changed["logged_content"] = body.logged_content
    return account_shape(desk.change(account, actor, **changed))


@routes.get("/accounts/{account}/members", summary="List an account's members", response_model=None)
def list_members(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return members, sorted by e-mail address."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([member_shape(member) for member in resources.identity.accounts.members(account)])


@routes.put("/accounts/{account}/members", summary="Add a member, or change a role (owners)", response_model=None)
def set_member(account: str, body: NewMember, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Give a person a role. A person who is new to the gateway needs a first password."""
    resources = allowed(request, actor, account, Role.OWNER)
    password = None if body.password is None else body.password.get_secret_value()
    member = Membership(body.email, role_of(body.role), password)
    resources.desks.accounts.set_member(account, member, actor)
    return listed([member_shape(member) for member in resources.identity.accounts.members(account)])


@routes.delete("/accounts/{account}/members/{email}", summary="Remove a member (owners)", response_model=None)
def remove_member(account: str, email: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Take a person out of an account; the person stays in other accounts."""
    allowed(request, actor, account, Role.OWNER).desks.accounts.remove_member(account, email, actor)
    return {"email": email, "is_removed": True}
