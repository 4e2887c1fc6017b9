"""Provider keys that their provider lately refused, for the log and the page of keys."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.lane import Lane

_log = logging.getLogger("llmdeal.provider_keys")
_BETWEEN_LINES = timedelta(minutes=1)
_MOST_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """One refusal; the last one of its key.

    Args:
        name: The key as lanes name it: `openai`, or `openai@work`.
        code: Code of the gateway: `provider_key_refused` or `no_credit`.
        message: Words of the provider, redacted.
        at: Time of the refusal.
    """

    name: str
    code: str
    message: str
    at: datetime


class RefusedKeys:
    """Remembers the keys that were refused, until they answer again.

    Args:
        now: Clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._keys: dict[tuple[str, str], RefusedKey] = {}

    def note(self, owner: str, lane: Lane, code: str, message: str) -> None:
        """Remember a refusal, and log it: at most once a minute for each key.

        Args:
            owner: Account whose request was refused.
            lane: Lane that was asked.
            code: Code of the gateway.
            message: Words of the provider, redacted.
        """
        key, at = (owner, lane.account), self._now()
        former = self._keys.pop(key, None)
        if former is None and len(self._keys) >= _MOST_REMEMBERED:
            del self._keys[next(iter(self._keys))]
        if former is None or at - former.at >= _BETWEEN_LINES:
            trouble = "has no credit" if code == "no_credit" else "was refused"
            _log.warning("the provider key of %s (account %s) %s: %s", lane.account, owner, trouble, message)
        self._keys[key] = RefusedKey(lane.account, code, message, at)

    def forget(self, owner: str, lane: Lane) -> None:
        """Forget a refusal, because the key works."""
        if self._keys:
            self._keys.pop((owner, lane.account), None)

    def of(self, owner: str) -> list[RefusedKey]:
        """Return the refused keys of an account, the latest last."""
        return [refused for (account, _), refused in self._keys.items() if account == owner]
