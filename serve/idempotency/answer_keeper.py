"""Keeps answers for a day, so that a repeated request gets the same answer. Uses the database off the event loop."""

import asyncio
import logging
import uuid
from dataclasses import replace
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from serve.clock import Clock
from serve.errors import (
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    IdempotencyNotKeptError,
    IdempotencyUnavailableError,
    VaultError,
)
from serve.idempotency.recorded_answer import RecordedAnswer
from serve.idempotency.repository import Claim, Finding, IdempotencyRepository, StoredAnswer
from serve.instant import to_microseconds
from serve.metrics import Metrics
from serve.vault.vault import Vault

_log = logging.getLogger("llmdeal.idempotency")
_DAY_US: Final = 24 * 3_600 * 1_000_000
_SILENT_US: Final = 60 * 1_000_000
_RENEW_S: Final = 15.0
_RENEWALS_A_SWEEP: Final = 40
_TRY_AGAIN_S: Final = 1
_SEALED_FOR: Final = "idempotent-answer"


class AnswerKeeper:
    """Claims requests for this worker and keeps their answers.

    Args:
        repository: Stored requests and answers.
        vault: Vault that seals answers; without a master key they are stored in the clear.
        clock: Time; decides when an answer expires.
        metrics: Counters; repeated answers are counted there.
    """

    def __init__(self, repository: IdempotencyRepository, vault: Vault, clock: Clock, metrics: Metrics) -> None:
        self._repository = repository
        self._vault = vault
        self._clock = clock
        self._metrics = metrics
        self._open: set[str] = set()

    async def claim(self, account: str, idempotency_key: str, fingerprint: bytes) -> Claim | RecordedAnswer:
        """Claim a request, or return the answer that it got before.

        Raises:
            IdempotencyInProgressError: The request is being answered.
            IdempotencyMismatchError: The key was used for another request.
            IdempotencyNotKeptError: The request was answered, but its answer was not kept.
            IdempotencyUnavailableError: The database is away.
        """
        claim = Claim(account, idempotency_key, fingerprint, uuid.uuid4().hex)
        try:
            finding = await asyncio.to_thread(self._claim, claim)
            if finding.state == "claimed":
                self._open.add(claim.claim_id)
                return claim
            return await self._repeated(claim, finding)
        except SQLAlchemyError as error:
            _log.error("the database of idempotency keys is away: %s", type(error).__name__)
            raise IdempotencyUnavailableError(
                "the gateway cannot look up now whether this idempotency key was used, so nothing was done. Try again.",
                retry_after_s=_TRY_AGAIN_S,
            ) from None

    async def keep(self, claim: Claim, answer: RecordedAnswer) -> None:
        """Keep the answer of a claimed request."""
        self._open.discard(claim.claim_id)
        try:
            if not await asyncio.to_thread(self._keep, claim, answer):
                _log.warning(
                    "a request was taken over by another worker while this one answered it: both may have been charged"
                )
        except SQLAlchemyError as error:
            _log.error("an answer could not be kept for its idempotency key: %s", type(error).__name__)

    async def release(self, claim: Claim) -> None:
        """Free the key of a request that was not answered."""
        self._open.discard(claim.claim_id)
        try:
            await asyncio.to_thread(self._repository.release, claim)
        except SQLAlchemyError as error:
            _log.error("an idempotency key could not be freed: %s", type(error).__name__)

    async def follow(self) -> None:
        """Renew the claims of requests under way, and delete answers older than a day, until cancelled."""
        n_rounds = 0
        while True:
            try:
                if n_rounds % _RENEWALS_A_SWEEP == 0:
                    await self.sweep()
                await self.renew()
            except SQLAlchemyError as error:
                _log.error("the database of idempotency keys is away: %s", type(error).__name__)
            n_rounds += 1
            await asyncio.sleep(_RENEW_S)

    async def sweep(self) -> int:
        """Delete expired requests; return how many there were."""
        return await asyncio.to_thread(self._repository.sweep, to_microseconds(self._clock.now()))

    async def renew(self) -> None:
        """Renew the claims of the requests that this worker is answering."""
        if self._open:
            until_us = to_microseconds(self._clock.now()) + _SILENT_US
            await asyncio.to_thread(self._repository.renew, sorted(self._open), until_us)

    def _claim(self, claim: Claim) -> Finding:
        now_us = to_microseconds(self._clock.now())
        return self._repository.claim(claim, now_us, now_us + _SILENT_US, now_us + _DAY_US)

    async def _repeated(self, claim: Claim, finding: Finding) -> RecordedAnswer:
        if finding.state == "under_way":
            raise IdempotencyInProgressError(
                "a request with this idempotency key is being answered. Try again to get the same answer.",
                param="idempotency-key",
                retry_after_s=_TRY_AGAIN_S,
            )
        if finding.state == "other_request" or finding.answer is None:
            raise IdempotencyMismatchError(
                "this idempotency key was used for another request less than a day ago. "
                "Use a fresh key for each request.",
                param="idempotency-key",
            )
        body = await asyncio.to_thread(self._opened, claim, finding.answer)
        if body is None:
            raise IdempotencyNotKeptError(
                "this request was answered and charged, but its answer was too long to be kept "
                "(idempotency_max_bytes), or cannot be opened any more. Use a fresh idempotency key to ask again.",
                param="idempotency-key",
            )
        self._metrics.idempotent_replays.inc()
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in finding.answer.headers]
        return RecordedAnswer(finding.answer.status, headers, body)

    def _keep(self, claim: Claim, answer: RecordedAnswer) -> bool:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        stored = StoredAnswer(answer.status, headers, answer.body, is_sealed=False)
        if answer.body is not None and self._vault.is_open:
            stored = replace(stored, body=self._sealed(claim, answer.body), is_sealed=True)
        return self._repository.finish(claim, stored)

    def _sealed(self, claim: Claim, body: bytes) -> bytes | None:
        try:
            return self._vault.seal(claim.account, _SEALED_FOR, claim.idempotency_key, body.decode("latin-1"))
        except VaultError as error:
            _log.error("an answer is not kept, because it cannot be sealed: %s", error)
            return None

    def _opened(self, claim: Claim, answer: StoredAnswer) -> bytes | None:
        if answer.body is None or not answer.is_sealed:
            return answer.body
        try:
            return self._vault.open(claim.account, _SEALED_FOR, claim.idempotency_key, answer.body).encode("latin-1")
        except VaultError as error:
            _log.error("a kept answer cannot be opened: %s", error)
            return None
