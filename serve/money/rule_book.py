"""The caps that a worker knows, and the present month of each scope."""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from serve.money.budget import BudgetRule, Nusd, ScopePeriod
from serve.money.period import Period, month_of

_UTC = ZoneInfo("UTC")


class RuleBook:
    """The caps of all scopes that have one.

    Args:
        now: Clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rules: dict[str, BudgetRule] = {}
        self._months: dict[str, Period] = {}

    def replace(self, rules: Sequence[BudgetRule]) -> bool:
        """Use these rules from now on; return whether they differ from the former ones."""
        former, self._rules = self._rules, {rule.scope: rule for rule in rules}
        return former != self._rules

    def limits(self, scope: str) -> bool:
        """Return whether a scope has a cap."""
        return scope in self._rules

    def cap(self, scope: str) -> Nusd | None:
        """Return the most that a month of a scope may cost; None: there is no limit."""
        rule = self._rules.get(scope)
        return None if rule is None else rule.cap_nusd

    def month(self, scope: str) -> Period:
        """Return the present month of a scope."""
        return self._month(scope, self._now())

    def periods(self, scopes: Sequence[str]) -> tuple[ScopePeriod, ...]:
        """Return each scope with the name of its month, all at one moment."""
        now = self._now()
        return tuple([(scope, self._month(scope, now).name) for scope in scopes])

    def _month(self, scope: str, now: datetime) -> Period:
        rule = self._rules.get(scope)
        zone = _UTC if rule is None else rule.time_zone
        month = self._months.get(zone.key)
        if month is None or not month.starts_at <= now < month.ends_at:
            month = self._months[zone.key] = month_of(now, zone)
        return month
