"""The leases of one worker, in memory: holds are taken and settled here, without asking the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from serve.money.budget import Nusd

ScopePeriod = tuple[str, str]


@dataclass(slots=True)
class _Purse:
    """What a worker may spend of one budget.

    Args:
        free: Leased and not held. Negative while an attempt cost more than was held for it and others are still held for.
        held: Held for attempts under way.
        used_at_s: When it was last held from or added to; monotonic.
        last_given: How much the last lease was.
    """

    free: Nusd = 0
    held: Nusd = 0
    used_at_s: float = 0.0
    last_given: Nusd = 0


class Purses:
    """All leases of a worker. One event loop works on them, so every method is all or nothing."""

    def __init__(self) -> None:
        self._purses: dict[ScopePeriod, _Purse] = {}

    def add(self, of: ScopePeriod, amount: Nusd, now_s: float) -> None:
        """Take a lease in."""
        purse = self._purses.setdefault(of, _Purse())
        purse.free += amount
        purse.last_given = amount
        purse.used_at_s = now_s

    def hold(self, of: Sequence[ScopePeriod], amount: Nusd, now_s: float) -> ScopePeriod | None:
        """Hold `amount` in every purse, or in none; return the first one that has not enough, None when it is held."""
        for key in of:
            purse = self._purses.get(key)
            if (purse is None and amount > 0) or (purse is not None and purse.free < amount):
                return key
        for key in of:
            purse = self._purses.get(key) or self._purses.setdefault(key, _Purse())  # what costs nothing needs no lease
            purse.free -= amount
            purse.held += amount
            purse.used_at_s = now_s
        return None

    def settle(self, of: Sequence[ScopePeriod], held: Nusd, spent: Nusd) -> None:
        """End a hold: what was not spent is free again. What was spent beyond the leases is in the ledger, and owed by nobody here."""
        for key in of:
            purse = self._purses[key]
            purse.held -= held
            purse.free += held - spent
            if purse.held == 0:
                purse.free = max(purse.free, 0)

    def missing(self, of: ScopePeriod, amount: Nusd) -> Nusd:
        """Return how much more a purse needs before it can hold `amount`, at least 0."""
        purse = self._purses.get(of)
        return amount if purse is None else max(amount - purse.free, 0)

    def runs_low(self, of: ScopePeriod) -> bool:
        """Return whether less than a quarter of the last lease is free."""
        purse = self._purses.get(of)
        return purse is None or purse.free * 4 < purse.last_given

    def empty(self) -> None:
        """Forget all leases, because they were given up; what is held stays held."""
        for purse in self._purses.values():
            purse.free = min(purse.free, 0)

    def take_idle(self, idle_since_s: float) -> dict[ScopePeriod, Nusd]:
        """Empty the purses that were not used since then; return what was in them, to be given back."""
        idle = {
            key: purse.free for key, purse in self._purses.items() if purse.free > 0 and purse.used_at_s < idle_since_s
        }
        for key in idle:
            self._purses[key].free = 0
        return idle
