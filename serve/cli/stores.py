"""The database of the gateway, opened for one command; and the identity that the audit log names for it."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve.identity.roles import Actor, Role
from serve.identity.virtual_keys import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from serve.bundles.bundle_keeper import BundleKeeper
    from serve.hot_swap.desks import Desks
    from serve.hot_swap.identity_stores import IdentityStores
    from serve.routing.shadow_repository import ShadowRepository

Config = Annotated[Path | None, typer.Option(help="Settings file, for the database and the master key.")]
AccountOption = Annotated[str, typer.Option("--account", help="The account's short name.")]


@dataclass(frozen=True, slots=True)
class Opened:
    """The stores and desks of one command.

    Args:
        stores: Stored accounts, people and keys.
        desks: Desks where they are changed.
        actor: Identity of the command for the audit log.
    """

    stores: "IdentityStores"
    desks: "Desks"
    actor: Actor

    def check_account(self, account: str) -> None:
        """Check that an account exists.

        Raises:
            NotFoundError: It does not.
        """
        self.stores.accounts.find(account)


@dataclass(frozen=True, slots=True)
class OpenedBundles:
    """The bundles of one command.

    Args:
        keeper: Keeper of the bundles.
        shadows: Stored decisions of shadows.
        actor: Name of the command's identity for the history.
    """

    keeper: "BundleKeeper"
    shadows: "ShadowRepository"
    actor: str


@contextmanager
def open_stores(config: Path | None, *, must_exist: bool = False) -> Iterator[Opened]:
    """Open the stores and desks of the gateway that the settings describe, and close them after the block.

    A change takes effect in a running gateway within a second.

    Args:
        config: Settings file; None: the usual one.
        must_exist: Whether an SQLite database that is not there is an error; otherwise it is created.

    Raises:
        ConfigurationError: Settings, database or master key are wrong.
    """
    from serve.clock import SystemClock
    from serve.hot_swap.desks import open_desks
    from serve.hot_swap.identity_stores import open_identity
    from serve.money.budget_repository import BudgetRepository
    from serve.settings import load_settings
    from serve.storage.database import open_database
    from serve.storage.database_choice import database_url

    settings = load_settings(config, os.environ)
    engine = open_database(database_url(settings.database, os.environ), must_exist=must_exist)
    try:
        stores = open_identity(settings, os.environ, engine, SystemClock())
        desks = open_desks(stores, BudgetRepository(engine), use_now=lambda: None)
        # A user who can open the database is the operator of the gateway.
        yield Opened(stores, desks, Actor(_actor_name(), {DEFAULT_ACCOUNT: Role.OWNER}))
    finally:
        engine.dispose()


@contextmanager
def open_bundles(config: Path | None) -> Iterator[OpenedBundles]:
    """Open the bundles of the gateway that the settings describe, and close the database after the block.

    Raises:
        ConfigurationError: Settings or database are wrong, or the configured bundle does not exist.
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
    try:
        history = BundleHistory(AuditRepository(engine, SystemClock().now))
        keeper = BundleKeeper(open_store(settings, os.environ), history)
        yield OpenedBundles(keeper, ShadowRepository(engine), _actor_name())
    finally:
        engine.dispose()


def _actor_name() -> str:
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"
