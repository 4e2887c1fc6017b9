"""Budgets, leases and the ledger in one database; every method is one transaction."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from serve.money.budget import BudgetRule, BudgetState, Charge, Nusd, ScopePeriod
from serve.storage.batch_insert import BatchInsert
from serve.storage.database import SQLITE_BEGIN
from serve.storage.money_tables import (
    BUDGET_RULE_TABLE,
    BUDGET_TABLE,
    LEASE_TABLE,
    LEDGER_TABLE,
    PAYERS_TABLE,
    WRITE_OFF_TABLE,
)

_BUDGET: Final = BUDGET_TABLE.c
_LEASE: Final = LEASE_TABLE.c
_RULE: Final = BUDGET_RULE_TABLE.c
_ROWS_A_STATEMENT: Final = 100
_LEDGER_COLUMNS: Final = (
    "charge_id",
    "payers_id",
    "amount_nusd",
    "at_us",
    "is_estimated",
    "lane_id",
    "price_snapshot_id",
)
_INSERT_FRESH: Final = BatchInsert(LEDGER_TABLE, _LEDGER_COLUMNS, skips_existing=False)
_INSERT_PAYERS: Final = BatchInsert(PAYERS_TABLE, ("payers_id", "scope", "period"))
Payers = tuple[ScopePeriod, ...]


@dataclass(frozen=True, slots=True)
class _LeaseRow:
    scope: str
    period: str
    remaining_nusd: Nusd


class BudgetRepository:
    """The one place where money in the database changes.

    Several processes, on one machine or many, work on the same budgets. Rows are always locked in the order of
    (scope, period), so that no two transactions wait for each other.

    Args:
        engine: SQLite or PostgreSQL.
    """

    def __init__(self, engine: Engine) -> None:
        # A transaction that will write says so at once: SQLite refuses it later if another process wrote meanwhile.
        self._engine = engine.execution_options(**{SQLITE_BEGIN: "IMMEDIATE"})
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._stored_payers: set[Payers] = set()

    def set_rule(self, rule: BudgetRule, within: Connection | None = None) -> None:
        """Set or change a scope's monthly cap. It is in force at once, also for the present month.

        Args:
            rule: New cap.
            within: Transaction that the change becomes part of; None: the change is a transaction of its own.
        """
        with nullcontext(within) if within is not None else self._engine.begin() as connection:
            self._set_rule(connection, rule)

    def follow_settings(self, rules: Sequence[BudgetRule]) -> None:
        """Set these caps, and lift those that came from earlier settings and are not among them."""
        with self._engine.begin() as connection:
            kept = [rule.scope for rule in rules]
            connection.execute(delete(BUDGET_RULE_TABLE).where(_RULE.is_from_settings, _RULE.scope.not_in(kept)))
            for rule in sorted(rules, key=lambda rule: rule.scope):
                self._set_rule(connection, rule)

    def remove_rule(self, scope: str, within: Connection | None = None) -> None:
        """Lift a scope's cap; what it spent stays in the ledger."""
        with nullcontext(within) if within is not None else self._engine.begin() as connection:
            connection.execute(delete(BUDGET_RULE_TABLE).where(_RULE.scope == scope))

    def rules(self) -> list[BudgetRule]:
        """Return all caps, by scope."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(BUDGET_RULE_TABLE).order_by(_RULE.scope)).all()
        return [BudgetRule(row.scope, row.cap_nusd, ZoneInfo(row.time_zone), row.is_from_settings) for row in rows]

    def states(self, scopes: Iterable[ScopePeriod]) -> list[BudgetState]:
        """Return the state of each (scope, period); zero if nothing was spent yet."""
        states = []
        with self._engine.connect() as connection:
            for scope, period in scopes:
                cap = connection.execute(select(_RULE.cap_nusd).where(_RULE.scope == scope)).scalar()
                row = connection.execute(
                    select(BUDGET_TABLE).where(_BUDGET.scope == scope, _BUDGET.period == period)
                ).first()
                states.append(
                    BudgetState(scope, period, cap, row.spent_nusd if row else 0, row.leased_nusd if row else 0)
                )
        return states

    def scopes_of(self, period: str) -> list[ScopePeriod]:
        """Return every (scope, period) of a month in which something was spent or leased, by scope."""
        query = select(_BUDGET.scope, _BUDGET.period).where(_BUDGET.period == period).order_by(_BUDGET.scope)
        with self._engine.connect() as connection:
            return [(row.scope, row.period) for row in connection.execute(query)]

    def lease(self, worker_id: str, scope: str, period: str, least: Nusd, wanted: Nusd, now_us: int) -> Nusd:
        """Lease a part of a budget to a worker; return `least` to `wanted`, or 0 if even `least` is not left.

        Args:
            worker_id: Id of the worker that will spend it.
            scope, period: Scope and month of the budget.
            least: Amount that the present request needs.
            wanted: Amount that would spare further questions; the most that is given. Less is given if it is more than
                half of what is left, which stays for other workers.
            now_us: Microseconds since 1970 UTC.
        """
        with self._engine.begin() as connection:
            cap = connection.execute(select(_RULE.cap_nusd).where(_RULE.scope == scope)).scalar()
            if cap is None:
                return wanted
            left = int(cap) - self._lock_budget(connection, scope, period)
            if left < least:
                return 0
            given = max(least, min(wanted, left // 2))
            self._change_budget(connection, scope, period, spent=0, leased=given)
            added = {
                "worker_id": worker_id,
                "scope": scope,
                "period": period,
                "remaining_nusd": given,
                "renewed_at_us": now_us,
            }
            statement = self._insert(LEASE_TABLE).values(added)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["worker_id", "scope", "period"],
                    set_={"remaining_nusd": _LEASE.remaining_nusd + given, "renewed_at_us": now_us},
                )
            )
        return given

    def settle(
        self, worker_id: str, charges: Sequence[Charge], returned: Mapping[ScopePeriod, Nusd], now_us: int
    ) -> bool:
        """Write charges into the ledger, pay them out of the worker's leases, and take back what it returns.

        A charge that is in the ledger already changes nothing, so a batch may be settled again after a failure.

        Args:
            worker_id: Id of the worker that spent it.
            charges: Costs of attempts.
            returned: (scope, period) -> amount of the lease that the worker no longer needs.
            now_us: Microseconds since 1970 UTC.

        Returns:
            Whether the worker still had its leases. False: another worker has ended them; they must not be spent.
        """
        self._store_payers(charges)
        try:
            return self._settle_all(worker_id, charges, returned, now_us, self._enter_fresh)
        except IntegrityError:  # a batch that failed half-way was stored after all
            return self._settle_all(worker_id, charges, returned, now_us, self._enter)

    def recover(self, worker_id: str, charges: Sequence[Charge], now_us: int) -> None:
        """Enter all that a dead worker has spent, and end its leases; a write-off of them is taken back."""
        self._store_payers(charges)
        with self._engine.begin() as connection:
            self._take_back_write_offs(connection, worker_id)
            self._pay(connection, worker_id, self._enter(connection, charges), {}, now_us)
            self._end_leases(connection, worker_id)

    def renew(self, worker_id: str, now_us: int) -> None:
        """Record that the worker is alive."""
        with self._engine.begin() as connection:
            connection.execute(update(LEASE_TABLE).where(_LEASE.worker_id == worker_id).values(renewed_at_us=now_us))

    def end_leases(self, worker_id: str) -> None:
        """Give back the rest of a worker's leases: it has ended, and all that it spent is in the ledger."""
        with self._engine.begin() as connection:
            self._end_leases(connection, worker_id)

    def silent_workers(self, silent_since_us: int) -> list[str]:
        """Return the workers that hold leases and have given no sign of life since then."""
        query = (
            select(_LEASE.worker_id).group_by(_LEASE.worker_id).having(func.max(_LEASE.renewed_at_us) < silent_since_us)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query.order_by(_LEASE.worker_id)).scalars())

    def write_off(self, worker_id: str, now_us: int) -> Nusd:
        """Charge what is left of a worker's leases, because it and its journal are gone; return the amount.

        The worker may have spent it.
        """
        with self._engine.begin() as connection:
            leases = self._leases_of(connection, worker_id)
            for row in leases:
                charge_id = f"lost:{worker_id}:{row.period}:{row.scope}"
                lost = Charge(
                    charge_id, row.remaining_nusd, ((row.scope, row.period),), now_us, True, "unknown", "unknown"
                )
                self._lock_budget(connection, row.scope, row.period)
                _add_payers(connection, [lost.periods])
                entered = self._enter(connection, [lost])[row.scope, row.period]
                self._change_budget(connection, row.scope, row.period, spent=entered, leased=-row.remaining_nusd)
                connection.execute(WRITE_OFF_TABLE.insert().values((worker_id, row.scope, row.period, charge_id)))
            connection.execute(delete(LEASE_TABLE).where(_LEASE.worker_id == worker_id))
            return sum((row.remaining_nusd for row in leases), 0)

    def ledger_total(self, scope: str, period: str) -> Nusd:
        """Return the sum of a month's entries; it proves that `spent_nusd` of the budget is right."""
        entries = LEDGER_TABLE.join(PAYERS_TABLE, LEDGER_TABLE.c.payers_id == PAYERS_TABLE.c.payers_id)
        query = (
            select(func.coalesce(func.sum(LEDGER_TABLE.c.amount_nusd), 0))
            .select_from(entries)
            .where(PAYERS_TABLE.c.scope == scope, PAYERS_TABLE.c.period == period)
        )
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def _set_rule(self, connection: Connection, rule: BudgetRule) -> None:
        values = {
            "scope": rule.scope,
            "cap_nusd": rule.cap_nusd,
            "time_zone": rule.time_zone.key,
            "is_from_settings": rule.is_from_settings,
        }
        statement = self._insert(BUDGET_RULE_TABLE).values(values)
        connection.execute(statement.on_conflict_do_update(index_elements=["scope"], set_=values))

    def _settle_all(
        self,
        worker_id: str,
        charges: Sequence[Charge],
        returned: Mapping[ScopePeriod, Nusd],
        now_us: int,
        enter: Callable[[Connection, Sequence[Charge]], dict[ScopePeriod, Nusd]],
    ) -> bool:
        with self._engine.begin() as connection:
            was_given_up = self._take_back_write_offs(connection, worker_id)
            self._pay(connection, worker_id, enter(connection, charges), returned, now_us)
            return not was_given_up

    def _pay(
        self,
        connection: Connection,
        worker_id: str,
        spent: Mapping[ScopePeriod, Nusd],
        returned: Mapping[ScopePeriod, Nusd],
        now_us: int,
    ) -> None:
        for scope, period in sorted(spent.keys() | returned.keys()):
            self._lock_budget(connection, scope, period)
            paid, back = spent.get((scope, period), 0), returned.get((scope, period), 0)
            freed = self._take_from_lease(connection, (worker_id, scope, period), paid + back, now_us)
            self._change_budget(connection, scope, period, spent=paid, leased=-freed)

    def _end_leases(self, connection: Connection, worker_id: str) -> None:
        for row in self._leases_of(connection, worker_id):
            self._lock_budget(connection, row.scope, row.period)
            self._change_budget(connection, row.scope, row.period, spent=0, leased=-row.remaining_nusd)
        connection.execute(delete(LEASE_TABLE).where(_LEASE.worker_id == worker_id))

    def _take_back_write_offs(self, connection: Connection, worker_id: str) -> bool:
        """Remove a worker's write-offs, which stand for what it may have spent; return whether there were any."""
        written_off = select(WRITE_OFF_TABLE).where(WRITE_OFF_TABLE.c.worker_id == worker_id)
        rows = connection.execute(written_off.order_by(WRITE_OFF_TABLE.c.scope, WRITE_OFF_TABLE.c.period)).all()
        for row in rows:
            self._lock_budget(connection, row.scope, row.period)
            entry = delete(LEDGER_TABLE).where(LEDGER_TABLE.c.charge_id == row.charge_id)
            amount = connection.execute(entry.returning(LEDGER_TABLE.c.amount_nusd)).scalar_one()
            self._change_budget(connection, row.scope, row.period, spent=-amount, leased=0)
        if rows:
            connection.execute(delete(WRITE_OFF_TABLE).where(WRITE_OFF_TABLE.c.worker_id == worker_id))
        return bool(rows)

    def _enter_fresh(self, connection: Connection, charges: Sequence[Charge]) -> dict[ScopePeriod, Nusd]:
        """Add entries that are all new, quickly; return their sums.

        Raises:
            IntegrityError: One of them is there already.
        """
        _INSERT_FRESH.execute(connection, [_ledger_row(charge) for charge in charges])
        return _sums((charge.periods, charge.amount_nusd) for charge in charges)

    def _enter(self, connection: Connection, charges: Sequence[Charge]) -> dict[ScopePeriod, Nusd]:
        """Add the entries that are not there yet; return the sums of those that were added."""
        by_id = {charge.charge_id: charge for charge in charges}
        rows = [dict(zip(_LEDGER_COLUMNS, _ledger_row(charge), strict=True)) for charge in by_id.values()]
        entered: list[str] = []
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            statement = (
                self._insert(LEDGER_TABLE).values(rows[start : start + _ROWS_A_STATEMENT]).on_conflict_do_nothing()
            )
            entered += connection.execute(statement.returning(LEDGER_TABLE.c.charge_id)).scalars()
        return _sums((by_id[charge_id].periods, by_id[charge_id].amount_nusd) for charge_id in entered)

    def _store_payers(self, charges: Sequence[Charge]) -> None:
        """Store the groups of payers that this process has not stored yet.

        This is a transaction of its own, so that it holds no lock that other transactions wait for.
        """
        fresh = {charge.periods for charge in charges} - self._stored_payers
        if fresh:
            with self._engine.begin() as connection:
                _add_payers(connection, fresh)
            self._stored_payers |= fresh

    def _lock_budget(self, connection: Connection, scope: str, period: str) -> Nusd:
        """Make sure that the row exists, and lock it until the transaction ends; return what is spent or leased."""
        first = {"scope": scope, "period": period, "spent_nusd": 0, "leased_nusd": 0}
        connection.execute(self._insert(BUDGET_TABLE).values(first).on_conflict_do_nothing())
        query = select(_BUDGET.spent_nusd + _BUDGET.leased_nusd).where(_BUDGET.scope == scope, _BUDGET.period == period)
        return int(connection.execute(query.with_for_update()).scalar_one())

    def _change_budget(self, connection: Connection, scope: str, period: str, *, spent: Nusd, leased: Nusd) -> None:
        connection.execute(
            update(BUDGET_TABLE)
            .where(_BUDGET.scope == scope, _BUDGET.period == period)
            .values(spent_nusd=_BUDGET.spent_nusd + spent, leased_nusd=_BUDGET.leased_nusd + leased)
        )

    def _take_from_lease(self, connection: Connection, lease: tuple[str, str, str], amount: Nusd, now_us: int) -> Nusd:
        """Take `amount` from a lease, or what is left of it if that is less; return the amount taken."""
        where = (_LEASE.worker_id == lease[0], _LEASE.scope == lease[1], _LEASE.period == lease[2])
        remaining = connection.execute(select(_LEASE.remaining_nusd).where(*where).with_for_update()).scalar()
        if remaining is None:
            return 0
        taken = min(int(remaining), amount)
        connection.execute(
            update(LEASE_TABLE).where(*where).values(remaining_nusd=remaining - taken, renewed_at_us=now_us)
        )
        return taken

    def _leases_of(self, connection: Connection, worker_id: str) -> list[_LeaseRow]:
        query = select(_LEASE.scope, _LEASE.period, _LEASE.remaining_nusd).where(_LEASE.worker_id == worker_id)
        rows = connection.execute(query.order_by(_LEASE.scope, _LEASE.period)).all()
        return [_LeaseRow(*row) for row in rows]


def _add_payers(connection: Connection, together: Iterable[Payers]) -> None:
    _INSERT_PAYERS.execute(connection, sorted((payers_id(payers), *payer) for payers in together for payer in payers))


@lru_cache(4096)
def payers_id(payers: Payers) -> str:
    """Return the id of a group of payers: 80 bits of a hash of them, the same in every process."""
    lines = "\n".join(f"{scope}\t{period}" for scope, period in sorted(payers))
    return hashlib.blake2b(lines.encode(), digest_size=10).hexdigest()


def _ledger_row(charge: Charge) -> tuple[str, str, Nusd, int, bool, str, str]:
    payers, amount = payers_id(charge.periods), charge.amount_nusd
    return (
        charge.charge_id,
        payers,
        amount,
        charge.at_us,
        charge.is_estimated,
        charge.lane_id,
        charge.price_snapshot_id,
    )


def _sums(paid: Iterable[tuple[Payers, Nusd]]) -> dict[ScopePeriod, Nusd]:
    sums: dict[ScopePeriod, Nusd] = defaultdict(int)
    for payers, amount in paid:
        for key in payers:
            sums[key] += amount
    return sums
