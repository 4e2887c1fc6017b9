"""Accounts and their members in the database."""

from contextlib import nullcontext
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve.errors import BadRequestError, NotFoundError
from serve.identity.audit_repository import AuditRepository
from serve.identity.roles import Role
from serve.identity.rows import Account, Member
from serve.instant import from_microseconds, to_microseconds
from serve.storage.identity_tables import ACCOUNT_TABLE, MEMBER_TABLE, PERSON_TABLE

_ACCOUNT: Final = ACCOUNT_TABLE.c
_MEMBER: Final = MEMBER_TABLE.c


class AccountRepository:
    """Reads and changes accounts and their members.

    Every `within` is the connection of a transaction to join; None: the method has a transaction of its own.

    Args:
        audit: Audit log, whose transactions are used.
    """

    def __init__(self, audit: AuditRepository) -> None:
        self._audit = audit

    def add(self, account: Account, actor: str, within: Connection | None = None) -> None:
        """Open an account.

        Raises:
            BadRequestError: There is, or was, an account of this name.
        """
        try:
            with self._audit.change(account.account, actor, "account.create", account.account, within) as connection:
                connection.execute(insert(ACCOUNT_TABLE).values(_values_of(account)))
        except IntegrityError:
            raise BadRequestError(
                f"account: there is an account {account.account!r} already", param="account"
            ) from None

    def add_if_missing(self, account: Account) -> None:
        """Open an account unless there is one of this name; without an audit entry."""
        if self.find_or_none(account.account) is None:
            try:
                with self._audit.transaction() as connection:
                    connection.execute(insert(ACCOUNT_TABLE).values(_values_of(account)))
            except IntegrityError:
                pass  # another worker was quicker

    def change(self, account: str, actor: str, **columns: Any) -> None:
        """Change an account; `columns` are columns of the table.

        Raises:
            NotFoundError: There is no account of this name.
        """
        with self._audit.change(account, actor, "account.change", account, **columns) as connection:
            changed = connection.execute(update(ACCOUNT_TABLE).where(_ACCOUNT.account == account).values(columns))
            if changed.rowcount == 0:
                raise _no_such_account(account)

    def all(self) -> list[Account]:
        """Return every account, sorted by name."""
        with self._audit.reading.connect() as connection:
            return [_account_of(row) for row in connection.execute(select(ACCOUNT_TABLE).order_by(_ACCOUNT.account))]

    def find_or_none(self, account: str, within: Connection | None = None) -> Account | None:
        """Return the account of this name; None: there is none."""
        with nullcontext(within) if within is not None else self._audit.reading.connect() as connection:
            row = connection.execute(select(ACCOUNT_TABLE).where(_ACCOUNT.account == account)).first()
        return None if row is None else _account_of(row)

    def find(self, account: str, within: Connection | None = None) -> Account:
        """Return an account.

        Raises:
            NotFoundError: There is no account of this name.
        """
        stored = self.find_or_none(account, within)
        if stored is None:
            raise _no_such_account(account)
        return stored

    def members(self, account: str) -> list[Member]:
        """Return an account's members, sorted by e-mail address."""
        query = select(MEMBER_TABLE).where(_MEMBER.account == account).order_by(_MEMBER.email)
        with self._audit.reading.connect() as connection:
            return [
                Member(row.account, row.email, Role[row.role.upper()], from_microseconds(row.joined_at_us))
                for row in connection.execute(query)
            ]

    def roles_of(self, email: str) -> dict[str, Role]:
        """Return a person's role in each enabled account, by account."""
        query = (
            select(_MEMBER.account, _MEMBER.role)
            .join(ACCOUNT_TABLE, _ACCOUNT.account == _MEMBER.account)
            .where((_MEMBER.email == email) & _ACCOUNT.is_enabled)
        )
        with self._audit.reading.connect() as connection:
            return {row.account: Role[row.role.upper()] for row in connection.execute(query)}

    def set_member(self, account: str, email: str, role: Role, actor: str, within: Connection | None = None) -> None:
        """Give a person, who must exist, a role in an account.

        Raises:
            BadRequestError: There is no such person, or the account would be left without an owner.
            NotFoundError: There is no such account.
        """
        with self._audit.change(account, actor, "member.set", email, within, role=role.word) as connection:
            self.find(account, connection)
            if connection.execute(select(PERSON_TABLE.c.email).where(PERSON_TABLE.c.email == email)).first() is None:
                raise BadRequestError(f"email: there is no person {email!r}; add them first", param="email")
            membership = (_MEMBER.account == account) & (_MEMBER.email == email)
            if connection.execute(update(MEMBER_TABLE).where(membership).values(role=role.word)).rowcount == 0:
                values = {"account": account, "email": email, "role": role.word}
                connection.execute(
                    insert(MEMBER_TABLE).values(**values, joined_at_us=to_microseconds(self._audit.now()))
                )
            _check_owned(connection, account)

    def remove_member(self, account: str, email: str, actor: str) -> None:
        """Take a person out of an account.

        Raises:
            NotFoundError: The person is not a member of it.
            BadRequestError: The person is its last owner.
        """
        with self._audit.change(account, actor, "member.remove", email) as connection:
            membership = (_MEMBER.account == account) & (_MEMBER.email == email)
            if connection.execute(delete(MEMBER_TABLE).where(membership)).rowcount == 0:
                raise NotFoundError(f"{email[:200]!r} is not a member of this account")
            _check_owned(connection, account)

    def has_owner(self, account: str) -> bool:
        """Return whether an account has an owner."""
        with self._audit.reading.connect() as connection:
            return _n_owners(connection, account) > 0


def _check_owned(connection: Connection, account: str) -> None:
    if _n_owners(connection, account) == 0:
        raise BadRequestError(
            "role: an account keeps at least one owner. Make another member an owner first.", param="role"
        )


def _n_owners(connection: Connection, account: str) -> int:
    query = select(func.count()).where((_MEMBER.account == account) & (_MEMBER.role == Role.OWNER.word))
    return int(connection.execute(query).scalar() or 0)


def _values_of(account: Account) -> dict[str, Any]:
    return {
        "account": account.account,
        "title": account.title,
        "time_zone": account.time_zone,
        "hosted_lanes": account.hosted_lanes,
        "is_enabled": account.is_enabled,
        "created_at_us": to_microseconds(account.created_at),
        "logged_content": account.logged_content,
    }


def _account_of(row: Any) -> Account:
    return Account(
        account=row.account,
        title=row.title,
        time_zone=row.time_zone,
        hosted_lanes=row.hosted_lanes,
        is_enabled=row.is_enabled,
        created_at=from_microseconds(row.created_at_us),
        logged_content=row.logged_content,
    )


def _no_such_account(account: str) -> NotFoundError:
    return NotFoundError(f"there is no account {account[:80]!r}")
