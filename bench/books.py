"""Reads a gateway's ledger and budgets, and compares them with the providers' own bills."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from bench.billing_upstream import MOST_NUSD, Bill, serial_of
from serve.storage.database import open_database
from serve.storage.money_tables import BUDGET_RULE_TABLE, BUDGET_TABLE, LEASE_TABLE, LEDGER_TABLE, PAYERS_TABLE


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry: what one payer paid for one attempt."""

    charge_id: str
    scope: str
    amount_nusd: int
    is_estimated: bool
    lane_id: str

    @property
    def provider(self) -> str:
        """Provider of the lane: the first part of its id."""
        return self.lane_id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Books:
    """Ledger, budgets and leases in a database at one moment.

    Args:
        entries: Entries of the ledger.
        spent, leased: Scope -> nano-dollars, from its budget.
        caps: Scope -> nano-dollars, for scopes with a cap.
        n_leases: Number of leases.
    """

    entries: tuple[Entry, ...]
    spent: dict[str, int]
    leased: dict[str, int]
    caps: dict[str, int]
    n_leases: int

    def charges(self) -> dict[str, Entry]:
        """Return charge id -> its entry in the scope of the account."""
        return {entry.charge_id: entry for entry in self.entries if entry.scope.startswith("account:")}


def read_books(database: str) -> Books:
    """Read the books in one transaction."""
    engine = open_database(database, must_exist=True)
    try:
        return _read(engine)
    finally:
        engine.dispose()


def _read(engine: Engine) -> Books:
    with engine.connect().execution_options(isolation_level=_snapshot(engine)) as connection, connection.begin():
        ledger = LEDGER_TABLE.c
        columns = (ledger.charge_id, PAYERS_TABLE.c.scope, ledger.amount_nusd, ledger.is_estimated, ledger.lane_id)
        entries = select(*columns).join(PAYERS_TABLE, PAYERS_TABLE.c.payers_id == ledger.payers_id)
        budgets = connection.execute(select(BUDGET_TABLE)).all()
        return Books(
            entries=tuple(Entry(*row) for row in connection.execute(entries)),
            spent={row.scope: row.spent_nusd for row in budgets},
            leased={row.scope: row.leased_nusd for row in budgets},
            caps={row.scope: row.cap_nusd for row in connection.execute(select(BUDGET_RULE_TABLE))},
            n_leases=len(connection.execute(select(LEASE_TABLE)).all()),
        )


def _snapshot(engine: Engine) -> str:
    """Return the isolation level at which all queries of a transaction see the same moment."""
    return "REPEATABLE READ" if engine.dialect.name == "postgresql" else "SERIALIZABLE"


def overshoot(books: Books) -> dict[str, int]:
    """Return scope -> amount spent or leased beyond its budget, at least 0."""
    return {
        scope: max(books.spent.get(scope, 0) + books.leased.get(scope, 0) - cap, 0) for scope, cap in books.caps.items()
    }


def faults_at_any_time(books: Books) -> list[str]:
    """Return the faults that must never occur, also under load.

    They are an overspent budget, and a budget that is not the sum of its entries.
    """
    faults = [f"{scope} is overspent by {over} nano-dollars" for scope, over in overshoot(books).items() if over]
    sums: Counter[str] = Counter()
    for entry in books.entries:
        sums[entry.scope] += entry.amount_nusd
    return faults + [
        f"{scope}: the budget has {spent}, its entries add up to {sums[scope]}"
        for scope, spent in books.spent.items()
        if spent != sums[scope]
    ]


def faults_at_rest(books: Books, journals: Path) -> list[str]:
    """Return the faults that must not occur once all workers have ended.

    They are leases or journals that are left over, and charges that some payer does not have exactly once.
    """
    faults = faults_at_any_time(books)
    if books.n_leases or any(books.leased.values()):
        faults.append(f"{books.n_leases} leases are left over, of {sum(books.leased.values())} nano-dollars")
    left = sorted(path.name for path in journals.glob("*")) if journals.exists() else []
    if left:
        faults.append(f"{len(left)} journals are left over")
    return faults + _unequal_payers(books.entries)


def _unequal_payers(entries: Iterable[Entry]) -> list[str]:
    """Return the charges that some kind of scope did not pay once, or that were paid with unequal amounts."""
    paid: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        paid[entry.charge_id].append(entry)
    faults = []
    for charge_id, parts in paid.items():
        kinds = sorted(part.scope.partition(":")[0] for part in parts)
        if kinds != ["account", "provider_key", "virtual_key"] or len({part.amount_nusd for part in parts}) != 1:
            faults.append(f"{charge_id} was paid by {kinds}: {[part.amount_nusd for part in parts]}")
    return faults


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The ledger compared with the providers' bills.

    Args:
        n_exact, exact_nusd: Number and sum of the charges at the provider's own usage.
        billed_nusd: Sum of the providers' bills for the same answers.
        n_estimated, estimated_nusd: Number and sum of the charges whose usage the gateway could not learn.
        n_unknown: Number of answers without an exact charge; they are covered by estimates.
        faults: Differences, in words.
    """

    n_exact: int
    exact_nusd: int
    billed_nusd: int
    n_estimated: int
    estimated_nusd: int
    n_unknown: int
    faults: tuple[str, ...]


def reconcile(books: Books, bills: Sequence[Bill]) -> Reconciliation:
    """Compare every charge with the answer that it names, and look for answers without a charge."""
    charges = books.charges().values()
    exact = [entry for entry in charges if not entry.is_estimated]
    estimated = [entry for entry in charges if entry.is_estimated]
    asked = {bill.serial: bill for bill in bills}
    times = Counter(serial_of(entry.amount_nusd) for entry in exact)
    faults = [f"answer {serial} was charged {count} times" for serial, count in times.items() if count > 1]
    matched = []
    for entry in exact:
        bill = asked.get(serial_of(entry.amount_nusd))
        if bill is None or (bill.amount_nusd, bill.provider) != (entry.amount_nusd, entry.provider):
            faults.append(
                f"{entry.charge_id}: charged {entry.amount_nusd} at {entry.provider}; the provider's bill is {bill}"
            )
        else:
            matched.append(bill)
    unknown = Counter(bill.provider for bill in bills if bill.serial not in times)
    stands_for = Counter(entry.provider for entry in estimated)
    faults += [
        f"{provider}: {count} answers without a charge, {stands_for[provider]} estimates for them"
        for provider, count in unknown.items()
        if count > stands_for[provider]
    ]
    faults += [
        f"{entry.charge_id}: {entry.amount_nusd} is more than was held"
        for entry in estimated
        if entry.amount_nusd > MOST_NUSD
    ]
    return Reconciliation(
        n_exact=len(exact),
        exact_nusd=sum(entry.amount_nusd for entry in exact),
        billed_nusd=sum(bill.amount_nusd for bill in matched),
        n_estimated=len(estimated),
        estimated_nusd=sum(entry.amount_nusd for entry in estimated),
        n_unknown=unknown.total(),
        faults=tuple(faults),
    )
