"""Keys as the pages show them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from serve.identity.rows import StoredProviderKey, StoredVirtualKey
from serve.money.budget import BudgetState
from serve.money.scopes import provider_key_scope, virtual_key_scope


@dataclass(frozen=True, slots=True)
class ProviderKeyLine:
    """One provider key.

    Args:
        key: The key.
        mood: Colour of its last test: good, warn, bad or calm.
        tested: Result of its last test, in a word.
        month: Current month of its budget; None: it has no budget and nothing was spent.
    """

    key: StoredProviderKey
    mood: str
    tested: str
    month: BudgetState | None


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One virtual key.

    Args:
        key: The key.
        state: State in a word: `good`, `expired` or `revoked`.
        month: Current month of its budget; None: it has no budget and nothing was spent.
    """

    key: StoredVirtualKey
    state: str
    month: BudgetState | None

    @property
    def is_good(self) -> bool:
        """Whether the key is accepted."""
        return self.state == "good"


def provider_key_lines(keys: Sequence[StoredProviderKey], months: Mapping[str, BudgetState]) -> list[ProviderKeyLine]:
    """Return the lines of provider keys, in the same order."""
    return [_provider_key_line(key, months.get(provider_key_scope(key.payer))) for key in keys]


def key_lines(keys: Sequence[StoredVirtualKey], months: Mapping[str, BudgetState], now: datetime) -> list[KeyLine]:
    """Return the lines of virtual keys, the accepted ones first."""
    lines = [KeyLine(key, _state(key, now), months.get(virtual_key_scope(key.virtual_key_id))) for key in keys]
    return sorted(lines, key=lambda line: (not line.is_good, line.key.name))


def _provider_key_line(key: StoredProviderKey, month: BudgetState | None) -> ProviderKeyLine:
    word = (key.test_outcome or "not tested").partition(":")[0]
    mood = {"accepted": "good", "refused": "bad", "unknown": "warn"}.get(word, "calm")
    return ProviderKeyLine(key, mood, word, month)


def _state(key: StoredVirtualKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "good"
