"""The balances of one worker's budget leases, in memory: holds and settlements need no database here."""

from collections.abc import Sequence
from dataclasses import dataclass

from serve.money.budget import Nusd, ScopePeriod


@dataclass(slots=True)
class _Balance:
    """What a worker may still spend of one budget.

    Args:
        free: Amount that is leased and not held. Negative while other holds are open and an attempt cost more than its
            hold.
        held: Amount held for attempts under way.
        used_at_s: Monotonic time at which it was last held from or added to.
        last_given: Amount of the last lease.
    """

    free: Nusd = 0
    held: Nusd = 0
    used_at_s: float = 0.0
    last_given: Nusd = 0


class LeaseBalances:
    """The balances of all leases of a worker. One event loop works on them, so every method is all or nothing."""

    def __init__(self) -> None:
        self._balances: dict[ScopePeriod, _Balance] = {}

    def add(self, key: ScopePeriod, amount: Nusd, now_s: float) -> None:
        """Add a lease to the balance of its budget."""
        balance = self._balances.setdefault(key, _Balance())
        balance.free += amount
        balance.last_given = amount
        balance.used_at_s = now_s

    def hold(self, keys: Sequence[ScopePeriod], amount: Nusd, now_s: float) -> ScopePeriod | None:
        """Hold `amount` in all these budgets, or in none. Return the first with too little free; None: it is held."""
        for key in keys:
            balance = self._balances.get(key)
            if (balance is None and amount > 0) or (balance is not None and balance.free < amount):
                return key
        for key in keys:
            # An attempt that costs nothing needs no lease, so there may be no balance yet.
            balance = self._balances.get(key) or self._balances.setdefault(key, _Balance())
            balance.free -= amount
            balance.held += amount
            balance.used_at_s = now_s
        return None

    def settle(self, keys: Sequence[ScopePeriod], held: Nusd, spent: Nusd) -> None:
        """End a hold: what was not spent is free again.

        An amount that was spent beyond the leases is in the ledger; once nothing is held, no balance here owes it.
        """
        for key in keys:
            balance = self._balances[key]
            balance.held -= held
            balance.free += held - spent
            if balance.held == 0:
                balance.free = max(balance.free, 0)

    def missing(self, key: ScopePeriod, amount: Nusd) -> Nusd:
        """Return how much more a balance needs before it can hold `amount`, at least 0."""
        balance = self._balances.get(key)
        return amount if balance is None else max(amount - balance.free, 0)

    def runs_low(self, key: ScopePeriod) -> bool:
        """Return whether less than a quarter of the last lease is free."""
        balance = self._balances.get(key)
        return balance is None or balance.free * 4 < balance.last_given

    def empty(self) -> None:
        """Forget all leases, because another worker ended them; what is held stays held."""
        for balance in self._balances.values():
            balance.free = min(balance.free, 0)

    def take_idle(self, idle_since_s: float) -> dict[ScopePeriod, Nusd]:
        """Empty the balances that were not used since then; return what was in them, to be given back."""
        idle = {
            key: balance.free
            for key, balance in self._balances.items()
            if balance.free > 0 and balance.used_at_s < idle_since_s
        }
        for key in idle:
            self._balances[key].free = 0
        return idle
