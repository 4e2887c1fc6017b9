"""The budgets of one worker, as the settings have them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from serve.background.supervisor import BackgroundPart
from serve.clock import Clock
from serve.money.budget_keeper import BudgetKeeper
from serve.money.budget_repository import BudgetRepository
from serve.money.configured_budgets import configured_budgets
from serve.money.spending import Spending
from serve.settings import Settings
from serve.storage.database_choice import journal_folder


@dataclass(frozen=True, slots=True)
class ConfiguredMoney:
    """The budgets of one worker.

    Args:
        keeper: Keeper of the budgets.
        spending: Holds and settlements of requests.
        parts: Background work of the keeper.
    """

    keeper: BudgetKeeper
    spending: Spending
    parts: tuple[BackgroundPart, ...]


def configured_money(
    settings: Settings, environment: Mapping[str, str], engine: Engine, clock: Clock, *, follows_settings: bool
) -> ConfiguredMoney:
    """Return the budgets of one worker.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; say which folder of this machine holds the journals.
        engine: The database.
        clock: Time.
        follows_settings: Whether the stored budgets become those of the settings now.

    Raises:
        ConfigurationError: A time zone is unknown, or an amount is finer than a nano-dollar or too large.
    """
    repository = BudgetRepository(engine)
    if follows_settings:
        repository.follow_settings(configured_budgets(settings))
    keeper = BudgetKeeper(repository, journal_folder(settings.database, environment), clock)
    spending = Spending(keeper, settings.hold_output_tokens)
    part = BackgroundPart("budgets", start=keeper.start, run=keeper.follow, close=keeper.close)
    return ConfiguredMoney(keeper, spending, (part,))
