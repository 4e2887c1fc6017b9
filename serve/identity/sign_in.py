"""Signing in: passwords, and the sessions that a cookie names from then on."""

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
    """One session of a person who is signed in.

    Args:
        session_id: Public name of the session; it does not let anyone in.
        ends_at: Time at which the session expires.
        is_this: Whether it is the session that asks.
    """

    session_id: str
    ends_at: datetime
    is_this: bool


class SignIn:
    """Checks passwords, and begins and ends sessions.

    Passwords are hashed with Argon2id, with the parameters that RFC 9106, section 4, recommends second. They are the
    default of argon2-cffi. One hash takes some 50 ms, so it is never computed on the event loop.

    Args:
        people: Stored people and sessions.
        accounts: Stored accounts, which have the people's roles.
        clock: Clock that decides when sessions end.
    """

    def __init__(self, people: PersonRepository, accounts: AccountRepository, clock: Clock) -> None:
        self._people = people
        self._accounts = accounts
        self._clock = clock
        self._hasher = PasswordHasher()
        self._hash_of_no_person: str | None = None

    def hashed(self, password: str) -> str:
        """Return the hash under which a password is stored.

        Raises:
            BadRequestError: The password is too short or too long.
        """
        if not LEAST_PASSWORD_CHARACTERS <= len(password) <= _MOST_PASSWORD_CHARACTERS:
            raise BadRequestError(
                f"password: give {LEAST_PASSWORD_CHARACTERS} to {_MOST_PASSWORD_CHARACTERS} characters",
                param="password",
            )
        return self._hasher.hash(password)

    def set_password(self, account: str, email: str, password: str, actor: str) -> None:
        """Change a person's password. All sessions of the person end.

        Raises:
            BadRequestError: The password is too short or too long.
            NotFoundError: There is no such person.
        """
        self._people.set_password(account, checked_email(email), self.hashed(password), actor)

    def change_own_password(self, secret: str, account: str, old: str, new: str) -> None:
        """Change the password of a person who is signed in. The person's other sessions end.

        Args:
            secret: Secret of the session that asks.
            account: Account whose audit log gets the entry.
            old, new: Passwords.

        Raises:
            BadSignInError: The session has ended, or the old password is wrong.
            BadRequestError: The new password is too short or too long.
        """
        email = self.email_of(secret)
        stored = None if email is None else self._people.password_hash(email)
        if email is None or stored is None:
            raise BadSignInError
        try:
            self._hasher.verify(stored, old[:_MOST_PASSWORD_CHARACTERS])
        except (VerifyMismatchError, InvalidHashError):
            raise BadSignInError from None
        self._people.set_password(account, email, self.hashed(new), email, spared=_digest(secret))

    def email_of(self, secret: str) -> str | None:
        """Return the e-mail address of a session's person; None: there is no such session, or it has ended."""
        return self._people.person_of_session(_digest(secret))

    def sessions_of(self, secret: str) -> list[OpenSession]:
        """Return all sessions of the person who holds this one, the newest first."""
        email = self.email_of(secret)
        sessions = [] if email is None else self._people.sessions(email)
        return [OpenSession(_session_id(digest), ends_at, digest == _digest(secret)) for digest, ends_at in sessions]

    def end_other_sessions(self, secret: str, account: str, session_id: str | None = None) -> None:
        """End the other sessions of the person who holds this one; with `session_id`, only that one."""
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
            BadSignInError: There is no such person, or the password is wrong; both take the same time.
        """
        address = email.strip().lower()
        stored = self._people.password_hash(address)
        try:
            self._hasher.verify(stored or self._decoy_hash(), password[:_MOST_PASSWORD_CHARACTERS])
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
        """Return the person of a session with the roles of this moment; None: there is no such session, or it ended."""
        email = self._people.person_of_session(_digest(secret))
        return None if email is None else Actor(email, self._accounts.roles_of(email))

    def _decoy_hash(self) -> str:
        """Return a hash that no password has, to check where there is no such person."""
        if self._hash_of_no_person is None:
            self._hash_of_no_person = self._hasher.hash(secrets.token_urlsafe(16))
        return self._hash_of_no_person


def _session_id(digest: bytes) -> str:
    return digest.hex()[:16]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()  # the secret is random, 256 bits: no salt is needed
