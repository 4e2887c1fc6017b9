"""Requests with an idempotency key in one database: claims and answers. Every method is one transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, null, select, update
from sqlalchemy.dialects import postgresql, sqlite

from serve.storage.database import SQLITE_BEGIN
from serve.storage.idempotency_tables import IDEMPOTENCY_TABLE

_REQUEST: Final = IDEMPOTENCY_TABLE.c


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer a request.

    Args:
        account: Account that the idempotency key belongs to.
        idempotency_key: Key of the request, unique in the account for a day.
        fingerprint: Hash that is equal for equal requests.
        claim_id: Unique id; a worker that takes the request over has another one.
    """

    account: str
    idempotency_key: str
    fingerprint: bytes
    claim_id: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it is stored.

    Args:
        status: HTTP status.
        headers: Pairs of name and value.
        body: Body of the answer; None: it was not kept.
        is_sealed: Whether the body is sealed by the vault.
    """

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes | None
    is_sealed: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of an idempotency key.

    Args:
        state: `claimed`: the key was free and the claim holds; `under_way`: another claim holds; `other_request`: the
            key was used for another request; `answered`.
        answer: Stored answer; None: the request was not answered.
    """

    state: Literal["claimed", "under_way", "other_request", "answered"]
    answer: StoredAnswer | None = None


_CLAIMED: Final = Finding("claimed")


class IdempotencyRepository:
    """Claims requests and keeps answers.

    Args:
        engine: SQLite or PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    def claim(self, claim: Claim, now_us: int, claimed_until_us: int, expires_at_us: int) -> Finding:
        """Claim a request, or return why it cannot be claimed.

        Args:
            claim: Claim to store.
            now_us: Present time, microseconds since 1970 UTC; keys that have expired or whose claim has ended are free.
            claimed_until_us: End of the claim, unless `renew` moves it.
            expires_at_us: Time from which the key may be used for another request.
        """
        fresh = {
            "fingerprint": claim.fingerprint,
            "claim_id": claim.claim_id,
            "claimed_until_us": claimed_until_us,
            "expires_at_us": expires_at_us,
            "is_sealed": False,
        }
        named = {"account": claim.account, "idempotency_key": claim.idempotency_key}
        added = (
            self._insert(IDEMPOTENCY_TABLE).values(**named, **fresh).on_conflict_do_nothing(index_elements=list(named))
        )
        where = and_(_REQUEST.account == claim.account, _REQUEST.idempotency_key == claim.idempotency_key)
        with self._engine.begin() as connection:
            if connection.execute(added.returning(_REQUEST.claim_id)).first() is not None:
                return _CLAIMED
            finding = self._look(connection, where, claim.fingerprint, now_us)
            if finding.state == "claimed":
                emptied = {"status": None, "headers": null(), "body": None}
                connection.execute(update(IDEMPOTENCY_TABLE).where(where).values(**fresh, **emptied))
            return finding

    def finish(self, claim: Claim, answer: StoredAnswer) -> bool:
        """Store the answer of a claimed request; return False if another worker took the request over."""
        kept = update(IDEMPOTENCY_TABLE).where(_is(claim))
        values = {"status": answer.status, "headers": [list(pair) for pair in answer.headers]}
        with self._engine.begin() as connection:
            stored = kept.values(**values, body=answer.body, is_sealed=answer.is_sealed)
            return connection.execute(stored).rowcount == 1

    def release(self, claim: Claim) -> None:
        """Free the key: the request was not answered."""
        with self._engine.begin() as connection:
            connection.execute(delete(IDEMPOTENCY_TABLE).where(_is(claim)))

    def renew(self, claim_ids: Collection[str], claimed_until_us: int) -> None:
        """Move the end of these claims: their requests are still being answered."""
        renewed = update(IDEMPOTENCY_TABLE).where(_REQUEST.claim_id.in_(claim_ids), _REQUEST.status.is_(None))
        with self._engine.begin() as connection:
            connection.execute(renewed.values(claimed_until_us=claimed_until_us))

    def sweep(self, now_us: int) -> int:
        """Delete expired requests; return how many there were."""
        with self._engine.begin() as connection:
            return connection.execute(delete(IDEMPOTENCY_TABLE).where(_REQUEST.expires_at_us <= now_us)).rowcount

    @staticmethod
    def _look(connection: Connection, where: ColumnElement[bool], fingerprint: bytes, now_us: int) -> Finding:
        """Return the state of the row, and lock it until the transaction ends; `claimed`: it may be claimed."""
        row = connection.execute(select(IDEMPOTENCY_TABLE).where(where).with_for_update()).first()
        if row is None:  # deleted at this very moment: the next try can claim it
            return Finding("under_way")
        if row.expires_at_us <= now_us:
            return _CLAIMED
        if bytes(row.fingerprint) != fingerprint:
            return Finding("other_request")
        if row.status is None:
            return _CLAIMED if row.claimed_until_us <= now_us else Finding("under_way")
        headers = [(name, value) for name, value in row.headers]
        body = None if row.body is None else bytes(row.body)
        return Finding("answered", StoredAnswer(row.status, headers, body, row.is_sealed))


def _is(claim: Claim) -> ColumnElement[bool]:
    return and_(
        _REQUEST.account == claim.account,
        _REQUEST.idempotency_key == claim.idempotency_key,
        _REQUEST.claim_id == claim.claim_id,
        _REQUEST.status.is_(None),
    )
