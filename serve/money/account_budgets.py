"""An account's budgets, as its people see and set them."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from serve.errors import BadRequestError, ConfigurationError, ForbiddenError, NotFoundError
from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.roles import Actor
from serve.identity.rows import StoredProviderKey, StoredVirtualKey
from serve.money.budget import BudgetRule, BudgetState
from serve.money.budget_repository import BudgetRepository
from serve.money.configured_budgets import nusd_of_usd
from serve.money.period import month_of
from serve.money.scopes import SCOPE_KINDS, hosted_scope, owner_of, provider_key_scope, virtual_key_scope

_LONGEST_NAME: Final = 200


class AccountBudgets:
    """Lists, sets and lifts the budgets of accounts, and writes the audit entries.

    It implements `serve.identity.key_budgets.KeyBudgets`, through which new keys get their budgets.

    Args:
        budgets: Stored budgets.
        accounts: Stored accounts, which have the time zones.
        audit: Audit log, whose transactions are used.
        now: Function that returns the present time.
    """

    def __init__(
        self,
        budgets: BudgetRepository,
        accounts: AccountRepository,
        audit: AuditRepository,
        now: Callable[[], datetime],
    ) -> None:
        self._budgets = budgets
        self._accounts = accounts
        self._audit = audit
        self._now = now

    def states(self, account: str) -> list[BudgetState]:
        """Return the present month of every scope of an account that has a budget or has spent something, by name.

        Raises:
            NotFoundError: There is no such account.
        """
        self._accounts.find(account)
        month = month_of(self._now(), ZoneInfo("UTC")).name  # scopes without a budget are counted by these months
        wanted = {(rule.scope, month_of(self._now(), rule.time_zone).name) for rule in self._budgets.rules()}
        limited = {scope for scope, _ in wanted}
        wanted |= {(scope, period) for scope, period in self._budgets.scopes_of(month) if scope not in limited}
        return self._budgets.states(sorted(key for key in wanted if owner_of(key[0]) == account))

    def set(self, account: str, scope: str, usd: Decimal, actor: Actor) -> BudgetState:
        """Set or change a budget. It is in force within a second, also for the present month.

        Raises:
            BadRequestError: The scope is not one of the account's, or the amount is invalid.
            ForbiddenError: The scope is the hosted credit, and the actor is no operator.
        """
        with self._audit.transaction() as connection:
            zone = self._set(connection, account, scope, usd, actor)
        [state] = self._budgets.states([(scope, month_of(self._now(), zone).name)])
        return state

    def limit_virtual_key(self, connection: Connection, key: StoredVirtualKey, usd: Decimal, actor: Actor) -> None:
        """Set the budget of a virtual key in a transaction of the caller; errors as for `set`."""
        self._set(connection, key.account, virtual_key_scope(key.virtual_key_id), usd, actor)

    def limit_provider_key(self, connection: Connection, key: StoredProviderKey, usd: Decimal, actor: Actor) -> None:
        """Set the budget of a provider key in a transaction of the caller; errors as for `set`."""
        self._set(connection, key.account, provider_key_scope(key.payer), usd, actor)

    def lift(self, account: str, scope: str, actor: Actor) -> None:
        """Lift a budget; what was spent stays in the ledger.

        Raises:
            BadRequestError: The scope is not one of the account's.
            ForbiddenError: The scope is the hosted credit, and the actor is no operator.
            NotFoundError: The scope has no budget.
        """
        self._check(account, scope, actor)
        if scope not in {rule.scope for rule in self._budgets.rules()}:
            raise NotFoundError(f"{scope!r} has no budget")
        with self._audit.change(account, actor.name, "budget.lift", scope) as connection:
            self._budgets.remove_rule(scope, connection)

    def _set(self, connection: Connection, account: str, scope: str, usd: Decimal, actor: Actor) -> ZoneInfo:
        """Set a budget with its audit entry; return the time zone whose months it follows."""
        self._check(account, scope, actor)
        try:
            cap = nusd_of_usd(scope, usd)
        except ConfigurationError as error:
            raise BadRequestError(str(error), param="monthly_usd") from error
        zone = ZoneInfo(self._accounts.find(account, connection).time_zone)
        with self._audit.change(account, actor.name, "budget.set", scope, connection, monthly_usd=str(usd)):
            self._budgets.set_rule(BudgetRule(scope, cap, zone), connection)
        return zone

    def _check(self, account: str, scope: str, actor: Actor) -> None:
        kind, _, name = scope.partition(":")
        if kind not in SCOPE_KINDS or not name or len(name) > _LONGEST_NAME or owner_of(scope) != account:
            kinds = ", ".join(f"{kind}:…" for kind in SCOPE_KINDS)
            raise BadRequestError(
                f"scope: {scope[:80]!r} is no scope of account {account!r}; its scopes are {kinds}", param="scope"
            )
        if scope == hosted_scope(account) and not actor.is_operator:
            raise ForbiddenError("only an operator sets hosted credit")
