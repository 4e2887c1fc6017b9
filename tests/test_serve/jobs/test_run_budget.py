"""A run never sends a call that could take it above its budget."""

from decimal import Decimal

import pytest

from serve.jobs.run_budget import BudgetReachedError, RunBudget


def test_what_is_held_and_spent_counts_against_the_budget() -> None:
    budget = RunBudget(Decimal(1))
    budget.hold(Decimal("0.6"))
    assert not budget.has_room(Decimal("0.5"))
    with pytest.raises(BudgetReachedError):
        budget.hold(Decimal("0.5"))
    budget.settle(Decimal("0.6"), Decimal("0.1"))
    budget.hold(Decimal("0.9"))
    assert (budget.spent_usd, budget.held_usd) == (Decimal("0.1"), Decimal("0.9"))


def test_a_call_of_unknown_cost_counts_with_the_most_that_it_may_have_cost() -> None:
    budget = RunBudget(Decimal(1))
    budget.hold(Decimal("0.4"))
    budget.settle(Decimal("0.4"), None)
    assert budget.spent_usd == Decimal("0.4")
