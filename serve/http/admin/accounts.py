"""Accounts and their members."""

from typing import Any

from fastapi import Request

from serve.errors import BadRequestError
from serve.gateway import resources_of
from serve.hot_swap.identity_stores import IdentityStores
from serve.http.admin.actor import AskedBy
from serve.http.admin.common import admin_routes, allowed, listed, use_now
from serve.http.admin.shapes import AccountChange, NewAccount, NewMember, account_shape, member_shape
from serve.identity.names import checked_email, checked_name, checked_zone
from serve.identity.roles import Role, role_of
from serve.identity.rows import Account

routes = admin_routes("accounts")


@routes.get("/accounts", summary="List the accounts that you are in; operators see all", response_model=None)
def list_accounts(request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return accounts, by name."""
    accounts = resources_of(request.app).identity.accounts.all()
    return listed([account_shape(account) for account in accounts if actor.role_in(account.account) is not None])


@routes.post("/accounts", status_code=201, summary="Open an account (operators)", response_model=None)
def open_account(body: NewAccount, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Open an account and return it."""
    actor.require_operator()
    resources = resources_of(request.app)
    name = checked_name(body.account, "account")
    account = Account(
        name, body.title or name, checked_zone(body.time_zone), body.hosted_lanes, True, resources.clock.now()
    )
    resources.identity.accounts.add(account, actor.name)
    use_now(resources)
    return account_shape(resources.identity.accounts.find(name))


@routes.get("/accounts/{account}", summary="Show an account", response_model=None)
def show_account(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return an account."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return account_shape(resources.identity.accounts.find(account))


@routes.patch("/accounts/{account}", summary="Change an account (owners)", response_model=None)
def change_account(account: str, body: AccountChange, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Change an account; whether it is enabled, and what it may use of the operator's, is the operator's to say; null lifts a limit."""
    resources = allowed(request, actor, account, Role.OWNER)
    changed = body.model_dump(exclude_unset=True, exclude_none=True)
    if "logged_content" in body.model_fields_set:
        changed["logged_content"] = body.logged_content
    if changed.keys() & {"is_enabled", "hosted_lanes"}:
        actor.require_operator()
    if "time_zone" in changed:
        checked_zone(changed["time_zone"])
    if changed:
        resources.identity.accounts.change(account, actor.name, **changed)
        use_now(resources)
    return account_shape(resources.identity.accounts.find(account))


@routes.get("/accounts/{account}/members", summary="List an account's members", response_model=None)
def list_members(account: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Return members, by address."""
    resources = allowed(request, actor, account, Role.VIEWER)
    return listed([member_shape(member) for member in resources.identity.accounts.members(account)])


@routes.put("/accounts/{account}/members", summary="Add a member, or change a role (owners)", response_model=None)
def set_member(account: str, body: NewMember, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Give a person a role; who is new here needs a password, which they change when they sign in."""
    identity = allowed(request, actor, account, Role.OWNER).identity
    password = None if body.password is None else body.password.get_secret_value()
    put_member(identity, account, body.email, password, role_of(body.role), actor.name)
    return listed([member_shape(member) for member in identity.accounts.members(account)])


@routes.delete("/accounts/{account}/members/{email}", summary="Remove a member (owners)", response_model=None)
def remove_member(account: str, email: str, request: Request, actor: AskedBy) -> dict[str, Any]:
    """Take a person out of an account; they stay in others."""
    resources = allowed(request, actor, account, Role.OWNER)
    resources.identity.accounts.remove_member(account, checked_email(email), actor.name)
    return {"email": email, "is_removed": True}


def put_member(
    identity: IdentityStores, account: str, email: str, password: str | None, role: Role, actor: str
) -> None:
    """Give a person a role; who is new to the gateway comes with a first password.

    Raises:
        BadRequestError: A password is missing, or one was given to somebody who has one; or the account would be left without an owner.
    """
    address = checked_email(email)
    if not identity.people.exists(address):
        if password is None:
            raise BadRequestError("password: this person is new here; give a first password", param="password")
        identity.sign_in.add_person(account, address, password, actor)
    elif password is not None:
        raise BadRequestError("password: this person has one already, which is theirs to change", param="password")
    identity.accounts.set_member(account, address, role, actor)
