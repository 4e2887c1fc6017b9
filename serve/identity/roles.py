"""What people, and keys, may do in an account."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from serve.errors import ForbiddenError, NotFoundError
from serve.identity.virtual_keys import DEFAULT_ACCOUNT


class Role(IntEnum):
    """Each role may do what the ones below it may."""

    VIEWER = 1
    """Sees everything but secrets."""
    ADMIN = 2
    """Changes keys and budgets."""
    OWNER = 3
    """Changes people, and closes the account."""

    @property
    def word(self) -> str:
        """The role as it is written."""
        return self.name.lower()


def role_of(word: str) -> Role:
    """Return the role that is written so.

    Raises:
        KeyError: There is none.
    """
    return Role[word.upper()]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for something outside the answering of requests.

    Args:
        name: For the audit log: an e-mail address, or `virtual_key:…`.
        roles: Account -> role there.
    """

    name: str
    roles: Mapping[str, Role]

    @property
    def is_operator(self) -> bool:
        """Whether they own the account that runs the gateway; operators open accounts and see all of them."""
        return self.roles.get(DEFAULT_ACCOUNT) is Role.OWNER

    def role_in(self, account: str) -> Role | None:
        """Return the role in an account; operators own every one."""
        return Role.OWNER if self.is_operator else self.roles.get(account)

    def require(self, account: str, role: Role) -> None:
        """Check that the actor has at least this role in an account.

        Raises:
            NotFoundError: They have none; whether there is such an account is not theirs to know.
            ForbiddenError: Theirs is a lesser one.
        """
        held = self.role_in(account)
        if held is None:
            raise NotFoundError(f"there is no account {account[:80]!r}, or you are not a member of it")
        if held < role:
            raise ForbiddenError(f"this takes the role {role.word} in account {account!r}; yours is {held.word}")

    def require_in_operators(self, role: Role) -> None:
        """Check that the actor has at least this role in the account that runs the gateway.

        Raises:
            ForbiddenError: They have not.
        """
        if (self.role_in(DEFAULT_ACCOUNT) or 0) < role:
            raise ForbiddenError(f"this takes the role {role.word} in the account {DEFAULT_ACCOUNT!r}")

    def require_operator(self) -> None:
        """Check that the actor is an operator.

        Raises:
            ForbiddenError: They are not.
        """
        if not self.is_operator:
            raise ForbiddenError(f"this takes the role owner in the account {DEFAULT_ACCOUNT!r}")
