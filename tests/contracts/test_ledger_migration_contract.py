"""From a ledger row for every payer to one for every attempt: nothing that was paid may be lost, doubled or changed."""

from collections.abc import Callable

from sqlalchemy import Engine, text

from serve.money.budget import BudgetState
from serve.money.budget_repository import BudgetRepository
from serve.storage.database import create_telemetry_engine, migrate_to_head, upgrade_tables

MONTH = "2026-11"
PAYERS = ("account:default", "provider_key:main", "virtual_key:ci")
ENTRIES = [
    *(("req_1:0", scope, 120) for scope in PAYERS),
    *(("req_2:0", scope, 7) for scope in PAYERS[:2]),
    ("lost:gone:2026-11", "account:default", 40),
    ("lost:gone:2026-11", "virtual_key:ci", 25),
]


def fill(engine: Engine) -> None:
    """Write the books as they were kept before: a row for every payer, a write-off under one name for all scopes."""
    with engine.begin() as connection:
        upgrade_tables(connection, "0006")
        for charge_id, scope, amount in ENTRIES:
            values = {"charge_id": charge_id, "scope": scope, "period": MONTH, "amount": amount}
            connection.execute(
                text("INSERT INTO ledger_entry VALUES (:charge_id, :scope, :period, :amount, 5, false, 'p/m', 's')"),
                values,
            )
        for scope in PAYERS:
            spent = sum(amount for _, payer, amount in ENTRIES if payer == scope)
            values = {"scope": scope, "period": MONTH, "spent": spent}
            connection.execute(text("INSERT INTO budget VALUES (:scope, :period, :spent, 0)"), values)
        for scope in ("account:default", "virtual_key:ci"):
            connection.execute(
                text("INSERT INTO budget_write_off VALUES ('gone', :scope, :period, 'lost:gone:2026-11')"),
                {"scope": scope, "period": MONTH},
            )


def test_a_ledger_by_payer_is_carried_over_and_still_adds_up(
    new_url: str, open_engine: Callable[[str], Engine]
) -> None:
    first = create_telemetry_engine(new_url)
    fill(first)
    migrate_to_head(first)
    first.dispose()

    engine = open_engine(new_url)
    budgets = BudgetRepository(engine)
    spent = {scope: budgets.ledger_total(scope, MONTH) for scope in PAYERS}
    assert spent == {"account:default": 167, "provider_key:main": 127, "virtual_key:ci": 145}
    assert [state.spent_nusd for state in budgets.states((scope, MONTH) for scope in PAYERS)] == list(spent.values())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM ledger_entry")).scalar() == 4


def test_an_old_write_off_is_still_taken_back(new_url: str, open_engine: Callable[[str], Engine]) -> None:
    first = create_telemetry_engine(new_url)
    fill(first)
    first.dispose()
    budgets = BudgetRepository(open_engine(new_url))

    assert not budgets.settle("gone", [], {}, 9)

    assert budgets.states([("virtual_key:ci", MONTH)]) == [BudgetState("virtual_key:ci", MONTH, None, 120, 0)]
    assert budgets.ledger_total("virtual_key:ci", MONTH) == 120
