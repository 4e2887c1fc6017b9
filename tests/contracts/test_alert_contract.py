"""What every database must do with budget alerts."""

import threading
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from serve.alerts.outbox import AlertRepository, DueAlert, NewAlert, Spent
from serve.money.budget import BudgetRule, Charge
from serve.money.budget_repository import BudgetRepository

SCOPE, MONTH = "account:default", "2026-11"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def alerts(engine: Engine) -> AlertRepository:
    return AlertRepository(engine)


def new(percent: int, scope: str = SCOPE) -> NewAlert:
    return NewAlert((scope, MONTH, percent), f"msg_{scope}_{percent}", "{}")


def spend(engine: Engine, scope: str, amount: int, cap: int | None, month: str = MONTH) -> None:
    budgets = BudgetRepository(engine)
    if cap is not None:
        budgets.set_rule(BudgetRule(scope, cap, BERLIN))
    budgets.settle(
        "worker", [Charge(f"{scope}{month}", amount, ((scope, month),), 5, False, "p/model", "prices")], {}, 5
    )


def test_budgets_are_found_by_how_far_they_are_spent(engine: Engine, alerts: AlertRepository) -> None:
    spend(engine, "account:half", 500, 1_000)
    spend(engine, "account:less", 499, 1_000)
    spend(engine, "account:free", 10_000, None)
    spend(engine, "account:nothing", 10, 0)
    spend(engine, "account:earlier", 1_000, 1_000, "2026-09")
    assert alerts.spent([MONTH], 50) == [Spent("account:half", MONTH, 500, 1_000, BERLIN)]


def test_the_largest_caps_there_can_be_are_compared(engine: Engine, alerts: AlertRepository) -> None:
    cap = 2**62 - 1
    spend(engine, SCOPE, cap - 1, cap)
    assert [state.spent_nusd for state in alerts.spent([MONTH], 100)] == [cap - 1]


def test_a_threshold_is_stored_once_ever(alerts: AlertRepository) -> None:
    assert alerts.add([new(50), new(80)], 1) == 2
    again = NewAlert((SCOPE, MONTH, 50), "msg_of_another_worker", "{}")
    assert alerts.add([again, new(100)], 2) == 1
    assert alerts.noticed([MONTH]) == {(SCOPE, MONTH, percent) for percent in (50, 80, 100)}
    assert alerts.noticed(["2026-12"]) == set()


def test_an_alert_is_taken_by_one_worker_until_it_is_heard_of_no_more(alerts: AlertRepository) -> None:
    alerts.add([new(50)], 10)
    assert alerts.take_due(9, 60) is None
    assert alerts.take_due(10, 60) == DueAlert((SCOPE, MONTH, 50), f"msg_{SCOPE}_50", "{}", 1)
    assert alerts.take_due(59, 99) is None
    again = alerts.take_due(60, 99)
    assert again is not None
    assert again.n_attempts == 2


def test_what_was_told_or_given_up_is_never_due_again(alerts: AlertRepository) -> None:
    alerts.add([new(50), new(80)], 1)
    for _ in range(2):
        due = alerts.take_due(2, 3)
        assert due is not None
        if due.threshold[2] == 50:
            alerts.note_delivered(due.webhook_id, 2)
            alerts.try_again_at(due.webhook_id, 2)  # of a worker that was held up
        else:
            alerts.try_again_at(due.webhook_id, None)
    assert alerts.take_due(10**9, 10**9 + 1) is None


def test_many_workers_take_every_alert_once(new_url: str, open_engine: Callable[[str], Engine]) -> None:
    AlertRepository(open_engine(new_url)).add([new(percent) for percent in range(1, 41)], 1)
    taken: list[int] = []

    def work(repository: AlertRepository) -> None:
        while (due := repository.take_due(5, 10**9)) is not None:
            taken.append(due.threshold[2])

    threads = [threading.Thread(target=work, args=(AlertRepository(open_engine(new_url)),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 41))
