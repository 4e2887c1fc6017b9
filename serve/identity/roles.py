"""Roles: what people and virtual keys may do in an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from serve.errors import BadRequestError, ForbiddenError, NotFoundError
from serve.identity.virtual_keys import DEFAULT_ACCOUNT, VirtualKeyHolder


class Role(IntEnum):
    """A role may do everything that the roles below it may do."""

    VIEWER = 1
    """Sees everything but secrets."""
    ADMIN = 2
    """Changes keys and budgets."""
    OWNER = 3
    """Changes the account and its members."""

    @property
    def word(self) -> str:
        """The role as a word: `viewer`, `admin` or `owner`."""
        return self.name.lower()


def role_of(word: str) -> Role:
    """Return the role that a word names.

    Raises:
        BadRequestError: There is no such role.
    """
    try:
        return Role[word.upper()]
    except KeyError:
        words = ", ".join(role.word for role in Role)
        raise BadRequestError(f"role: {word[:80]!r} is none of {words}", param="role") from None


@dataclass(frozen=True, slots=True)
class Actor:
    """An identity that reads or changes accounts, as opposed to one that asks models.

    Args:
        name: Name for the audit log: an e-mail address, or `virtual_key:…`.
        roles: Role of the actor in each account, by account.
    """

    name: str
    roles: Mapping[str, Role]

    @property
    def is_operator(self) -> bool:
        """Whether the actor owns the account that runs the gateway. Operators open accounts and see all of them."""
        return self.roles.get(DEFAULT_ACCOUNT) is Role.OWNER

    def role_in(self, account: str) -> Role | None:
        """Return the actor's role in an account; None: the actor is not in it. Operators own every account."""
        return Role.OWNER if self.is_operator else self.roles.get(account)

    def require(self, account: str, role: Role) -> None:
        """Check that the actor has at least this role in an account.

        Raises:
            NotFoundError: The actor is not in the account; the error does not tell whether the account exists.
            ForbiddenError: The actor's role is too low.
        """
        held = self.role_in(account)
        if held is None:
            raise NotFoundError(f"there is no account {account[:80]!r}, or you are not a member of it")
        if held < role:
            raise ForbiddenError(f"this takes the role {role.word} in account {account!r}; yours is {held.word}")

    def require_in_operators(self, role: Role) -> None:
        """Check that the actor has at least this role in the account that runs the gateway.

        Raises:
            ForbiddenError: The actor has not.
        """
        if (self.role_in(DEFAULT_ACCOUNT) or 0) < role:
            raise ForbiddenError(f"this takes the role {role.word} in the account {DEFAULT_ACCOUNT!r}")

    def require_operator(self) -> None:
        """Check that the actor is an operator.

        Raises:
            ForbiddenError: The actor is not.
        """
        if not self.is_operator:
            raise ForbiddenError(f"this takes the role owner in the account {DEFAULT_ACCOUNT!r}")


_ROLE_OF_SCOPE: Final = {"owner": Role.OWNER, "admin": Role.ADMIN, "read": Role.VIEWER}


def actor_of_key(holder: VirtualKeyHolder) -> Actor:
    """Return the actor that a virtual key stands for, by its scopes.

    Raises:
        ForbiddenError: The key has none of the scopes `read`, `admin` and `owner`.
    """
    roles = [role for scope, role in _ROLE_OF_SCOPE.items() if scope in holder.scopes]
    if not roles:
        raise ForbiddenError(
            f"the virtual key {holder.virtual_key_id!r} is not for this API: its scopes lack read, admin or owner"
        )
    return Actor(f"virtual_key:{holder.virtual_key_id}", {holder.account: max(roles)})
