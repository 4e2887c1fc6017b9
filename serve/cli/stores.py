"""What the commands about accounts and keys share: the database that the gateway uses, and who is at the keyboard."""

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve.identity.roles import Actor, Role
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from serve.bundles.bundle_keeper import BundleKeeper
    from serve.hot_swap.identity_stores import IdentityStores
    from serve.money.account_budgets import AccountBudgets
    from serve.routing.shadow_repository import ShadowRepository

Config = Annotated[Path | None, typer.Option(help="Settings file, for the database and the master key.")]
AccountOption = Annotated[str, typer.Option("--account", help="Whose.")]


@dataclass(frozen=True, slots=True)
class Opened:
    """The stores, opened.

    Args:
        stores: Accounts, people and keys.
        budgets: Of accounts.
        actor: For the audit log.
    """

    stores: "IdentityStores"
    budgets: "AccountBudgets"
    actor: Actor

    def check_account(self, account: str) -> None:
        """Check that there is such an account.

        Raises:
            NotFoundError: There is none.
        """
        self.stores.accounts.find(account)


def open_stores(config: Path | None) -> Opened:
    """Open the database of the gateway that these settings describe; it is made where there is none yet.

    Raises:
        ConfigurationError: Settings, database or master key are wrong.
    """
    from serve.clock import SystemClock
    from serve.hot_swap.identity_stores import open_identity
    from serve.money.account_budgets import AccountBudgets
    from serve.money.budget_repository import BudgetRepository
    from serve.settings import load_settings
    from serve.storage.database import open_database
    from serve.storage.database_choice import database_url

    settings = load_settings(config, os.environ)
    engine = open_database(database_url(settings.database, os.environ))
    clock = SystemClock()
    stores = open_identity(settings, os.environ, engine, clock)
    budgets = AccountBudgets(BudgetRepository(engine), stores.accounts, stores.audit, clock.now)
    # Who can open the database runs the gateway.
    return Opened(stores, budgets, Actor(f"cli:{_user()}", {DEFAULT_ACCOUNT: Role.OWNER}))


def open_bundles(config: Path | None) -> tuple["BundleKeeper", "ShadowRepository", str]:
    """Return what keeps the bundles of the gateway that these settings describe, what shadows would have done, and who asks.

    Raises:
        ConfigurationError: Settings or database are wrong, or the configured bundle is not there.
    """
    from serve.bundles.bundle_keeper import BundleKeeper
    from serve.bundles.history import BundleHistory
    from serve.bundles.store import open_store
    from serve.clock import SystemClock
    from serve.identity.audit_repository import AuditRepository
    from serve.routing.shadow_repository import ShadowRepository
    from serve.settings import load_settings
    from serve.storage.database import open_database
    from serve.storage.database_choice import database_url

    settings = load_settings(config, os.environ)
    engine = open_database(database_url(settings.database, os.environ))
    history = BundleHistory(AuditRepository(engine, SystemClock().now))
    return BundleKeeper(open_store(settings, os.environ), history), ShadowRepository(engine), f"cli:{_user()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
