"""What every database must do with budgets, leases and the ledger."""

import threading
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from serve.money.budget import BudgetRule, BudgetState, Charge
from serve.money.budget_repository import BudgetRepository

SCOPE, MONTH = "account:default", "2026-11"
UTC = ZoneInfo("UTC")


@pytest.fixture
def budgets(engine: Engine) -> BudgetRepository:
    repository = BudgetRepository(engine)
    repository.set_rule(BudgetRule(SCOPE, 1_000, UTC))
    return repository


def charge(charge_id: str, amount: int, *scopes: str) -> Charge:
    return Charge(
        charge_id, amount, tuple((scope, MONTH) for scope in scopes or (SCOPE,)), 5, False, "p/model", "prices"
    )


def state(budgets: BudgetRepository, scope: str = SCOPE) -> tuple[int, int]:
    [present] = budgets.states([(scope, MONTH)])
    assert budgets.ledger_total(scope, MONTH) == present.spent_nusd
    return present.spent_nusd, present.leased_nusd


def test_caps_are_set_changed_and_lifted(budgets: BudgetRepository) -> None:
    berlin = BudgetRule("virtual_key:ci", 7, ZoneInfo("Europe/Berlin"))
    budgets.set_rule(berlin)
    budgets.set_rule(BudgetRule(SCOPE, 2_000, UTC))
    assert budgets.rules() == [BudgetRule(SCOPE, 2_000, UTC), berlin]
    budgets.remove_rule("virtual_key:ci")
    assert budgets.states([(SCOPE, MONTH), ("virtual_key:ci", MONTH)]) == [
        BudgetState(SCOPE, MONTH, 2_000, 0, 0),
        BudgetState("virtual_key:ci", MONTH, None, 0, 0),
    ]


def test_leases_never_add_up_to_more_than_the_cap(budgets: BudgetRepository) -> None:
    given = [budgets.lease(f"worker-{n}", SCOPE, MONTH, 100, 600, 1) for n in range(6)]
    assert given == [500, 250, 125, 100, 0, 0]
    assert state(budgets) == (0, 975)
    assert budgets.lease("worker-9", SCOPE, MONTH, 25, 600, 1) == 25


def test_a_charge_is_paid_out_of_the_lease_and_entered_once(budgets: BudgetRepository) -> None:
    budgets.lease("worker", SCOPE, MONTH, 300, 300, 1)
    for _ in range(2):
        assert budgets.settle("worker", [charge("req_1/0", 120), charge("req_2/0", 30)], {}, 2)
    assert state(budgets) == (150, 150)
    budgets.settle("worker", [], {(SCOPE, MONTH): 100}, 3)
    assert state(budgets) == (150, 50)
    budgets.end_leases("worker")
    assert state(budgets) == (150, 0)


def test_every_scope_that_pays_gets_its_entry_with_a_cap_or_without(budgets: BudgetRepository) -> None:
    budgets.lease("worker", SCOPE, MONTH, 300, 300, 1)
    budgets.settle("worker", [charge("req_1/0", 120, SCOPE, "provider_key:groq")], {}, 2)
    assert state(budgets) == (120, 180)
    assert state(budgets, "provider_key:groq") == (120, 0)


def test_what_costs_more_than_was_leased_is_charged_in_full(budgets: BudgetRepository) -> None:
    budgets.lease("worker", SCOPE, MONTH, 100, 100, 1)
    budgets.settle("worker", [charge("req_1/0", 130)], {}, 2)
    assert state(budgets) == (130, 0)


def test_a_lower_cap_stops_further_leases_at_once(budgets: BudgetRepository) -> None:
    budgets.lease("worker", SCOPE, MONTH, 300, 300, 1)
    budgets.set_rule(BudgetRule(SCOPE, 200, UTC))
    assert budgets.lease("worker", SCOPE, MONTH, 1, 1, 1) == 0


def test_a_worker_that_is_gone_is_written_off_and_taken_back_when_its_journal_is_found(
    budgets: BudgetRepository,
) -> None:
    budgets.lease("gone", SCOPE, MONTH, 400, 400, 1_000)
    budgets.settle("gone", [charge("req_1/0", 100)], {}, 1_000)
    budgets.lease("alive", SCOPE, MONTH, 10, 10, 9_000)
    assert budgets.silent_workers(5_000) == ["gone"]
    assert budgets.write_off("gone", 9_000) == 300
    assert state(budgets) == (400, 10)
    assert budgets.write_off("gone", 9_000) == 0
    budgets.recover("gone", [charge("req_1/0", 100), charge("req_2/0", 50)], 9_500)
    assert state(budgets) == (150, 10)


def test_settling_says_when_the_workers_leases_were_ended(budgets: BudgetRepository) -> None:
    budgets.lease("worker", SCOPE, MONTH, 400, 400, 1_000)
    budgets.write_off("worker", 9_000)
    assert not budgets.settle("worker", [charge("req_1/0", 40)], {}, 9_500)
    assert state(budgets) == (40, 0)
    assert budgets.settle("worker", [charge("req_2/0", 1)], {}, 9_600)


def test_signs_of_life_keep_a_workers_leases(budgets: BudgetRepository) -> None:
    budgets.lease("worker", SCOPE, MONTH, 400, 400, 1_000)
    budgets.renew("worker", 8_000)
    assert budgets.silent_workers(5_000) == []


def test_workers_at_the_same_time_share_a_budget_to_the_last_nano_dollar(
    new_url: str, open_engine: Callable[[str], Engine]
) -> None:
    first = BudgetRepository(open_engine(new_url))
    first.set_rule(BudgetRule(SCOPE, 997, UTC))
    spent: list[int] = []

    def work(worker_id: str, repository: BudgetRepository) -> None:
        number = 0
        while repository.lease(worker_id, SCOPE, MONTH, 10, 10, 1):
            number += 1
            repository.settle(worker_id, [charge(f"{worker_id}/{number}", 10)], {}, 2)
        spent.append(number * 10)

    threads = [
        threading.Thread(target=work, args=(f"worker-{n}", BudgetRepository(open_engine(new_url)))) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(spent) == 990
    assert state(first) == (990, 0)


amounts = st.integers(0, 300)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), st.sampled_from("abc"), amounts, amounts),
        st.tuples(st.just("settle"), st.sampled_from("abc"), amounts, amounts),
        st.tuples(st.just("end"), st.sampled_from("abc"), amounts, amounts),
        st.tuples(st.just("write_off"), st.sampled_from("abc"), amounts, amounts),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_whatever_happens_the_ledger_adds_up_and_leases_keep_within_the_cap(
    engine: Engine, script: list[tuple[str, str, int, int]]
) -> None:
    from serve.storage.tables import METADATA

    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(table.delete())
    budgets = BudgetRepository(engine)
    budgets.set_rule(BudgetRule(SCOPE, 1_000, UTC))
    has_leased: dict[str, int] = dict.fromkeys("abc", 0)
    for number, (step, worker, one, two) in enumerate(script):
        if step == "lease":
            has_leased[worker] += budgets.lease(worker, SCOPE, MONTH, one, two, number)
        elif step == "settle":
            paid = min(one, has_leased[worker])
            has_leased[worker] -= paid
            if not budgets.settle(worker, [charge(f"{number}", paid)], {}, number):
                has_leased[worker] = 0
        else:
            (budgets.end_leases if step == "end" else lambda name, at=number: budgets.write_off(name, at))(worker)
            has_leased[worker] = 0
        spent, leased = state(budgets)
        assert leased >= 0
        assert spent + leased <= 1_000
