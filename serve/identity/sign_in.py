"""People sign in with a password and are known by a cookie from then on."""

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from serve.clock import Clock
from serve.errors import BadRequestError, BadSignInError
from serve.identity.names import checked_email
from serve.identity.roles import Actor
from serve.storage.account_repository import AccountRepository
from serve.storage.person_repository import PersonRepository

SESSION_LASTS: Final = timedelta(days=14)
LEAST_PASSWORD_CHARACTERS: Final = 10
_MOST_PASSWORD_CHARACTERS: Final = 1_000


class SignIn:
    """Passwords and sessions.

    Argon2id with the parameters of RFC 9106, 4 (second recommended option), as argon2-cffi has them by default; some 50 ms each, so
    never on the event loop.

    Args:
        people: Where hashes and sessions are kept.
        accounts: For roles.
        clock: For when sessions end.
    """

    def __init__(self, people: PersonRepository, accounts: AccountRepository, clock: Clock) -> None:
        self._people = people
        self._accounts = accounts
        self._clock = clock
        self._hasher = PasswordHasher()
        self._nobodys_hash: str | None = None

    def add_person(self, account: str, email: str, password: str, actor: str) -> str:
        """Store a person who can sign in from now on; return the address as it is kept.

        Raises:
            BadRequestError: The address or the password will not do, or there is such a person.
        """
        address = checked_email(email)
        self._people.add(account, address, self._hasher.hash(_checked(password)), actor)
        return address

    def set_password(self, account: str, email: str, password: str, actor: str) -> None:
        """Change a person's password; their sessions end.

        Raises:
            BadRequestError: The password will not do.
            NotFoundError: There is no such person.
        """
        self._people.set_password(account, checked_email(email), self._hasher.hash(_checked(password)), actor)

    def sign_in(self, email: str, password: str) -> str:
        """Return the secret of a new session.

        Raises:
            BadSignInError: There is no such person, or the password is another; both take the same time.
        """
        address = email.strip().lower()
        stored = self._people.password_hash(address)
        try:
            self._hasher.verify(stored or self._hash_of_nobody(), password[:_MOST_PASSWORD_CHARACTERS])
        except (VerifyMismatchError, InvalidHashError):
            raise BadSignInError from None
        if stored is None:
            raise BadSignInError
        secret = secrets.token_urlsafe(32)
        self._people.begin_session(_digest(secret), address, self._clock.now() + SESSION_LASTS)
        return secret

    def sign_out(self, secret: str) -> None:
        """End a session."""
        self._people.end_session(_digest(secret))

    def actor_of(self, secret: str) -> Actor | None:
        """Return who signed in; None: nobody, or it was too long ago."""
        email = self._people.person_of_session(_digest(secret))
        return None if email is None else Actor(email, self._accounts.roles_of(email))

    def _hash_of_nobody(self) -> str:
        if self._nobodys_hash is None:
            self._nobodys_hash = self._hasher.hash(secrets.token_urlsafe(16))
        return self._nobodys_hash


def _checked(password: str) -> str:
    if not LEAST_PASSWORD_CHARACTERS <= len(password) <= _MOST_PASSWORD_CHARACTERS:
        raise BadRequestError(f"password: take at least {LEAST_PASSWORD_CHARACTERS} characters", param="password")
    return password


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()  # the secret is random, 256 bits: no salt is needed
