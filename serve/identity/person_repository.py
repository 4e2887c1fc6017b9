"""People and their sessions in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve.errors import BadRequestError, NotFoundError
from serve.identity.audit_repository import AuditRepository
from serve.instant import from_microseconds, to_microseconds
from serve.storage.identity_tables import PERSON_TABLE, SESSION_TABLE

_PERSON: Final = PERSON_TABLE.c
_SESSION: Final = SESSION_TABLE.c


class PersonRepository:
    """Reads and changes people and their sessions.

    Args:
        audit: Audit log, whose transactions are used.
    """

    def __init__(self, audit: AuditRepository) -> None:
        self._audit = audit

    def add(self, account: str, email: str, password_hash: str, actor: str, within: Connection | None = None) -> None:
        """Store a new person.

        Args:
            account: Account whose audit log gets the entry.
            email: E-mail address, in lower case.
            password_hash: Argon2 hash of the password.
            actor: Name of the identity that adds the person.
            within: Connection of a transaction to join; None: one of its own.

        Raises:
            BadRequestError: There is a person with this address.
        """
        try:
            with self._audit.change(account, actor, "person.create", email, within) as connection:
                at_us = to_microseconds(self._audit.now())
                connection.execute(
                    insert(PERSON_TABLE).values(email=email, password_hash=password_hash, created_at_us=at_us)
                )
        except IntegrityError:
            raise BadRequestError(f"email: there is a person {email!r} already", param="email") from None

    def exists(self, email: str) -> bool:
        """Return whether there is a person with this address."""
        return self.password_hash(email) is not None

    def password_hash(self, email: str) -> str | None:
        """Return the hash of a person's password; None: there is no such person."""
        with self._audit.reading.connect() as connection:
            stored = connection.execute(select(_PERSON.password_hash).where(_PERSON.email == email)).scalar()
        return None if stored is None else str(stored)

    def set_password(self, account: str, email: str, password_hash: str, actor: str, spared: bytes = b"") -> None:
        """Change a password. Every session of the person ends, except the one with the digest `spared`.

        Raises:
            NotFoundError: There is no such person.
        """
        with self._audit.change(account, actor, "person.password", email) as connection:
            changed = update(PERSON_TABLE).where(_PERSON.email == email).values(password_hash=password_hash)
            if connection.execute(changed).rowcount == 0:
                raise NotFoundError(f"there is no person {email[:200]!r}")
            connection.execute(delete(SESSION_TABLE).where((_SESSION.email == email) & (_SESSION.digest != spared)))

    def begin_session(self, digest: bytes, email: str, expires_at: datetime) -> None:
        """Store a session, and delete the sessions that have expired."""
        with self._audit.transaction() as connection:
            now_us = to_microseconds(self._audit.now())
            connection.execute(delete(SESSION_TABLE).where(_SESSION.expires_at_us <= now_us))
            values = {"digest": digest, "email": email, "expires_at_us": to_microseconds(expires_at)}
            connection.execute(insert(SESSION_TABLE).values(values))

    def person_of_session(self, digest: bytes) -> str | None:
        """Return the e-mail address of a session's person; None: there is no such session, or it has expired."""
        is_alive = (_SESSION.digest == digest) & (_SESSION.expires_at_us > to_microseconds(self._audit.now()))
        with self._audit.reading.connect() as connection:
            email = connection.execute(select(_SESSION.email).where(is_alive)).scalar()
        return None if email is None else str(email)

    def sessions(self, email: str) -> list[tuple[bytes, datetime]]:
        """Return (digest, time of its end) of each session of a person, the newest first."""
        is_alive = (_SESSION.email == email) & (_SESSION.expires_at_us > to_microseconds(self._audit.now()))
        query = select(_SESSION.digest, _SESSION.expires_at_us).where(is_alive).order_by(_SESSION.expires_at_us.desc())
        with self._audit.reading.connect() as connection:
            return [(bytes(row.digest), from_microseconds(row.expires_at_us)) for row in connection.execute(query)]

    def end_sessions(self, account: str, email: str, digests: Sequence[bytes]) -> None:
        """End some of a person's sessions, as the person asked."""
        with self._audit.change(account, email, "session.end", email, n_sessions=len(digests)) as connection:
            chosen = (_SESSION.email == email) & _SESSION.digest.in_(list(digests))
            connection.execute(delete(SESSION_TABLE).where(chosen))

    def end_session(self, digest: bytes) -> None:
        """End a session."""
        with self._audit.transaction() as connection:
            connection.execute(delete(SESSION_TABLE).where(_SESSION.digest == digest))
