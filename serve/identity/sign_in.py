"""People sign in with a password and are known by a cookie from then on."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from serve.clock import Clock
from serve.errors import BadRequestError, BadSignInError
from serve.identity.account_repository import AccountRepository
from serve.identity.names import checked_email
from serve.identity.person_repository import PersonRepository
from serve.identity.roles import Actor

SESSION_LASTS: Final = timedelta(days=14)
LEAST_PASSWORD_CHARACTERS: Final = 10
_MOST_PASSWORD_CHARACTERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Where somebody is signed in.

    Args:
        session_id: Names it; who knows it is not let in by it.
        ends_at: When it ends.
        is_this: It is the one that was asked with.
    """

    session_id: str
    ends_at: datetime
    is_this: bool


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

    def change_own_password(self, secret: str, account: str, old: str, new: str) -> None:
        """Change the password of whoever holds a session and knows the old one; their other sessions end.

        Args:
            secret: Of the session.
            account: In whose audit log it is written down.
            old, new: The passwords.

        Raises:
            BadSignInError: The session has ended, or the old password is another.
            BadRequestError: The new password will not do.
        """
        email = self.email_of(secret)
        stored = None if email is None else self._people.password_hash(email)
        if email is None or stored is None:
            raise BadSignInError
        try:
            self._hasher.verify(stored, old[:_MOST_PASSWORD_CHARACTERS])
        except (VerifyMismatchError, InvalidHashError):
            raise BadSignInError from None
        self._people.set_password(account, email, self._hasher.hash(_checked(new)), email, spared=_digest(secret))

    def email_of(self, secret: str) -> str | None:
        """Return who holds a session; None: nobody, or it has ended."""
        return self._people.person_of_session(_digest(secret))

    def sessions_of(self, secret: str) -> list[OpenSession]:
        """Return all sessions of whoever holds this one, the newest first."""
        email = self.email_of(secret)
        found = [] if email is None else self._people.sessions(email)
        return [OpenSession(_session_id(digest), ends_at, digest == _digest(secret)) for digest, ends_at in found]

    def end_other_sessions(self, secret: str, account: str, session_id: str | None = None) -> None:
        """End the sessions of whoever holds this one, this one left out; only the named one where one is named."""
        email = self.email_of(secret)
        if email is None:
            return
        others = [digest for digest, _ in self._people.sessions(email) if digest != _digest(secret)]
        ended = [digest for digest in others if session_id in (None, _session_id(digest))]
        if ended:
            self._people.end_sessions(account, email, ended)

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


def _session_id(digest: bytes) -> str:
    return digest.hex()[:16]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()  # the secret is random, 256 bits: no salt is needed
