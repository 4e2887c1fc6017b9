"""The port to credentials that change, and the loop that renews them outside of requests."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

_log = logging.getLogger("llmdeal.credentials")
RETRY_S = 10.0
"""Seconds after a failure until credentials are fetched again."""


class CredentialsUnavailable(Exception):  # noqa: N818 - reads as what happened
    """There are no credentials to sign with now. The message says what to do and never holds a secret."""


class Signer(Protocol):
    """Signs requests for one account."""

    @property
    def name(self) -> str:
        """Name for logs."""
        ...

    def sign(self, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """Return the headers that carry the credentials, to be added to a POST; never waits for anything.

        Args:
            url: URL of the request.
            headers: All other headers of the request.
            body: Body of the request.

        Raises:
            CredentialsUnavailable: There are none yet, or they have expired.
        """
        ...

    def refresh(self) -> float:
        """Fetch credentials; blocks, so it runs in a thread. Return the seconds after which to do it again.

        Raises:
            CredentialsUnavailable: They could not be fetched.
        """
        ...


async def keep_fresh(signer: Signer) -> None:
    """Renew a signer's credentials again and again, until cancelled."""
    while True:
        try:
            wait_s = await asyncio.to_thread(signer.refresh)
        except CredentialsUnavailable as error:
            _log.error("%s: %s", signer.name, error)
            wait_s = RETRY_S
        await asyncio.sleep(wait_s)
