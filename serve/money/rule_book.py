"""The caps that a worker knows of, and which month it is for whom."""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from serve.money.budget import BudgetRule, Nusd, ScopePeriod
from serve.money.period import Period, month_of

_UTC = ZoneInfo("UTC")


class RuleBook:
    """Which scopes have a budget.

    Args:
        now: The present moment.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rules: dict[str, BudgetRule] = {}
        self._months: dict[str, Period] = {}

    def replace(self, rules: Sequence[BudgetRule]) -> bool:
        """Go by these rules from now on; return whether they are others than before."""
        changed = {rule.scope: rule for rule in rules}
        is_changed = changed != self._rules
        self._rules = changed
        return is_changed

    def limits(self, scope: str) -> bool:
        """Return whether a scope has a cap."""
        return scope in self._rules

    def cap(self, scope: str) -> Nusd | None:
        """Return the most that a month of a scope may cost; None: there is no limit."""
        rule = self._rules.get(scope)
        return None if rule is None else rule.cap_nusd

    def month(self, scope: str) -> Period:
        """Return the month that a scope is in."""
        return self._month(scope, self._now())

    def periods(self, scopes: Sequence[str]) -> tuple[ScopePeriod, ...]:
        """Return each scope with the name of its month, all at one moment."""
        now = self._now()
        return tuple([(scope, self._month(scope, now).name) for scope in scopes])

    def _month(self, scope: str, now: datetime) -> Period:
        rule = self._rules.get(scope)
        zone = _UTC if rule is None else rule.time_zone
        known = self._months.get(zone.key)
        if known is None or not known.starts_at <= now < known.ends_at:
            known = self._months[zone.key] = month_of(now, zone)
        return known
