"""People and their sessions in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve.errors import BadRequestError, NotFoundError
from serve.identity.audit_repository import AuditRepository
from serve.instant import from_microseconds, to_microseconds
from serve.storage.identity_tables import PERSON_TABLE, SESSION_TABLE

_PERSON: Final = PERSON_TABLE.c
_SESSION: Final = SESSION_TABLE.c


class PersonRepository:
    """Reads and changes people.

    Args:
        audit: Whose transactions are used.
    """

    def __init__(self, audit: AuditRepository) -> None:
        self._audit = audit

    def add(self, account: str, email: str, password_hash: str, actor: str) -> None:
        """Store a new person.

        Raises:
            BadRequestError: There is one with this address.
        """
        try:
            with self._audit.change(account, actor, "person.create", email) as connection:
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
        """Return a person's hash; None: there is no such person."""
        with self._audit.reading.connect() as connection:
            found = connection.execute(select(_PERSON.password_hash).where(_PERSON.email == email)).scalar()
        return None if found is None else str(found)

    def set_password(self, account: str, email: str, password_hash: str, actor: str, spared: bytes = b"") -> None:
        """Change a password; every session of the person ends but the one whose digest is spared.

        Raises:
            NotFoundError: There is no such person.
        """
        with self._audit.change(account, actor, "person.password", email) as connection:
            changed = update(PERSON_TABLE).where(_PERSON.email == email).values(password_hash=password_hash)
            if connection.execute(changed).rowcount == 0:
                raise NotFoundError(f"there is no person {email[:200]!r}")
            connection.execute(delete(SESSION_TABLE).where((_SESSION.email == email) & (_SESSION.digest != spared)))

    def begin_session(self, digest: bytes, email: str, expires_at: datetime) -> None:
        """Store a session, and forget those that have expired."""
        with self._audit.note() as connection:
            now_us = to_microseconds(self._audit.now())
            connection.execute(delete(SESSION_TABLE).where(_SESSION.expires_at_us <= now_us))
            values = {"digest": digest, "email": email, "expires_at_us": to_microseconds(expires_at)}
            connection.execute(insert(SESSION_TABLE).values(values))

    def person_of_session(self, digest: bytes) -> str | None:
        """Return who signed in; None: nobody, or it has expired."""
        is_alive = (_SESSION.digest == digest) & (_SESSION.expires_at_us > to_microseconds(self._audit.now()))
        with self._audit.reading.connect() as connection:
            found = connection.execute(select(_SESSION.email).where(is_alive)).scalar()
        return None if found is None else str(found)

    def sessions(self, email: str) -> list[tuple[bytes, datetime]]:
        """Return (digest, when it ends) of a person's sessions, the newest first."""
        is_alive = (_SESSION.email == email) & (_SESSION.expires_at_us > to_microseconds(self._audit.now()))
        query = select(_SESSION.digest, _SESSION.expires_at_us).where(is_alive).order_by(_SESSION.expires_at_us.desc())
        with self._audit.reading.connect() as connection:
            return [(bytes(row.digest), from_microseconds(row.expires_at_us)) for row in connection.execute(query)]

    def end_sessions(self, account: str, email: str, digests: Sequence[bytes]) -> None:
        """Forget some of a person's sessions, as they wished."""
        with self._audit.change(account, email, "session.end", email, n_sessions=len(digests)) as connection:
            is_theirs = (_SESSION.email == email) & _SESSION.digest.in_(list(digests))
            connection.execute(delete(SESSION_TABLE).where(is_theirs))

    def end_session(self, digest: bytes) -> None:
        """Forget a session."""
        with self._audit.note() as connection:
            connection.execute(delete(SESSION_TABLE).where(_SESSION.digest == digest))
