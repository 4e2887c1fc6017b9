"""Builds exploration from the settings."""

from decimal import Decimal

from sqlalchemy import Engine

from router.policies.exploring import ExplorationTerms
from serve.clock import Clock
from serve.metrics import Metrics
from serve.money.budget import Nusd
from serve.money.configured_budgets import nusd_of_usd, time_zone
from serve.routing.exploration.exploration_budget import ExplorationBudget
from serve.routing.exploration.explorer import Explorer
from serve.routing.exploration.repository import ExplorationRepository
from serve.settings import ExplorationSettings, Settings


def configured_explorer(settings: Settings, engine: Engine, metrics: Metrics, clock: Clock) -> Explorer | None:
    """Return the explorer, or None when the settings turn exploration off.

    Raises:
        ConfigurationError: The ceiling is not an amount of money, or the time zone is unknown.
    """
    wanted = settings.exploration
    if wanted is None or not wanted.share:
        return None
    terms = ExplorationTerms(wanted.share, wanted.quality_bar, wanted.most_lanes, settings.willingness_to_pay_usd)
    budget = ExplorationBudget(ExplorationRepository(engine), ceiling_nusd(wanted), time_zone(settings), clock)
    metrics.follow_exploration(budget.ceiling_nusd, lambda: 0 if budget.month is None else budget.month.spent_nusd)
    return Explorer(terms, budget, metrics)


def ceiling_nusd(wanted: ExplorationSettings) -> Nusd:
    """Return the ceiling of a calendar month in nano-dollars, or 0 when none is set.

    Only exploration that is off may have no ceiling.

    Raises:
        ConfigurationError: The ceiling is finer than a nano-dollar, or too large.
    """
    return nusd_of_usd("exploration", Decimal(wanted.monthly_ceiling_usd or 0))
