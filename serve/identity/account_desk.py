"""The desk for accounts and people: the one place where accounts are opened and changed, and members added and removed.

The admin API, the dashboard and the command line call it. Each call checks what the actor may do, is one database
transaction with its audit entries, and takes effect in this process at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from serve.errors import BadRequestError
from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.names import checked_email, checked_name, checked_zone
from serve.identity.person_repository import PersonRepository
from serve.identity.roles import Actor, Role
from serve.identity.rows import Account, HostedLanes
from serve.identity.sign_in import SignIn
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.settings import CONTENT_LEVELS


@dataclass(frozen=True, slots=True)
class Membership:
    """A person, and the role that the person gets in an account.

    Args:
        email: E-mail address of the person.
        role: Role in the account.
        password: First password, for a person who is new to the gateway; None: the person has one already.
    """

    email: str
    role: Role
    password: str | None = None


class AccountDesk:
    """Opens and changes accounts; adds and removes their members.

    Args:
        accounts: Stored accounts and members.
        people: Stored people.
        sign_in: Hashes passwords.
        audit: Audit log, whose transactions are used.
        use_now: Function that makes this process apply a change that was stored.
    """

    def __init__(
        self,
        accounts: AccountRepository,
        people: PersonRepository,
        sign_in: SignIn,
        audit: AuditRepository,
        use_now: Callable[[], None],
    ) -> None:
        self._accounts = accounts
        self._people = people
        self._sign_in = sign_in
        self._audit = audit
        self._use_now = use_now

    def open(
        self,
        account: str,
        actor: Actor,
        *,
        title: str = "",
        time_zone: str = "UTC",
        hosted_lanes: HostedLanes = "when_spent",
        owner: Membership | None = None,
    ) -> Account:
        """Open an account and return it; operators only.

        Args:
            account: Short name of the account.
            actor: Identity that opens it.
            title: Name that people call it; empty: the short name.
            time_zone: Name of the time zone whose months its budgets follow.
            hosted_lanes: Condition under which the operator's own lanes answer for it.
            owner: First member; None: the account has no member yet.

        Raises:
            ForbiddenError: The actor is not an operator.
            BadRequestError: A name, the time zone or the owner's password is refused.
        """
        actor.require_operator()
        name = checked_name(account, "account")
        fresh = Account(name, title or name, checked_zone(time_zone), hosted_lanes, True, self._audit.now())
        prepared = None if owner is None else self._prepare(owner)
        with self._audit.transaction() as connection:
            self._accounts.add(fresh, actor.name, connection)
            if prepared is not None:
                self._store(connection, name, prepared, actor)
        self._use_now()
        return fresh

    def change(self, account: str, actor: Actor, **changed: Any) -> Account:
        """Change columns of an account, named as in `Account`; return the account as it is now.

        Raises:
            NotFoundError: There is no such account, or the actor is not in it.
            ForbiddenError: The actor is not an owner; or changes what only operators change: `is_enabled` and
                `hosted_lanes`.
            BadRequestError: A value is refused.
        """
        actor.require(account, Role.OWNER)
        if changed.keys() & {"is_enabled", "hosted_lanes"}:
            actor.require_operator()
        if "time_zone" in changed:
            checked_zone(changed["time_zone"])
        if changed.get("logged_content") not in (None, *CONTENT_LEVELS):
            raise BadRequestError(
                f"logged_content: {changed['logged_content']!r} is none of {', '.join(CONTENT_LEVELS)}. "
                "Choose one, or nothing to log as much as the gateway does.",
                param="logged_content",
            )
        if account == DEFAULT_ACCOUNT and changed.get("is_enabled") is False:
            raise BadRequestError("is_enabled: the account that runs the gateway cannot be closed", param="is_enabled")
        if changed:
            self._accounts.change(account, actor.name, **changed)
            self._use_now()
        return self._accounts.find(account)

    def set_member(self, account: str, member: Membership, actor: Actor) -> str:
        """Give a person a role in an account; return the e-mail address as it is stored.

        Raises:
            NotFoundError: There is no such account, or the actor is not in it.
            ForbiddenError: The actor is not an owner of the account.
            BadRequestError: A password is missing; or one was given for a person who has one already; or the account
                would be left without an owner.
        """
        actor.require(account, Role.OWNER)
        prepared = self._prepare(member)
        with self._audit.transaction() as connection:
            self._store(connection, account, prepared, actor)
        return prepared.email

    def remove_member(self, account: str, email: str, actor: Actor) -> str:
        """Take a person out of an account; return the e-mail address as it was stored.

        Raises:
            NotFoundError: There is no such account or member, or the actor is not in the account.
            ForbiddenError: The actor is not an owner of the account.
            BadRequestError: The person is the account's last owner.
        """
        actor.require(account, Role.OWNER)
        address = checked_email(email)
        self._accounts.remove_member(account, address, actor.name)
        return address

    def _prepare(self, member: Membership) -> "_PreparedMember":
        """Check a member and hash the password; outside of the transaction, because hashing is slow."""
        email = checked_email(member.email)
        if self._people.exists(email):
            if member.password is not None:
                raise BadRequestError(
                    "password: this person has one already, which only the person changes", param="password"
                )
            return _PreparedMember(email, member.role, None)
        if member.password is None:
            raise BadRequestError("password: this person is new here; give a first password", param="password")
        return _PreparedMember(email, member.role, self._sign_in.hashed(member.password))

    def _store(self, connection: Connection, account: str, member: "_PreparedMember", actor: Actor) -> None:
        if member.password_hash is not None:
            self._people.add(account, member.email, member.password_hash, actor.name, connection)
        self._accounts.set_member(account, member.email, member.role, actor.name, connection)


@dataclass(frozen=True, slots=True)
class _PreparedMember:
    email: str
    role: Role
    password_hash: str | None
