"""The bundle that a gateway with these settings would start with, for commands that decide without one."""

from collections.abc import Mapping
from pathlib import Path

from serve.bundles.generation import Generation, load_generation
from serve.bundles.staging import staging_of
from serve.bundles.store import open_store
from serve.clock import SystemClock
from serve.hot_swap.bundle_loader import BundleLoader
from serve.settings import Settings
from serve.storage.database_choice import database_url

_SQLITE = "sqlite:///"


def deciding_generation(settings: Settings, environment: Mapping[str, str]) -> Generation:
    """Load the champion: the bundle that was promoted last, else the configured one. Blocks.

    A database that does not exist yet is not created.

    Raises:
        ConfigurationError: The configured bundle is missing, or the database cannot be used.
        BundleError: No bundle can be used.
    """
    store, url = open_store(settings, environment), database_url(settings.database, environment)
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists():
        return load_generation(store.configured)
    from serve.bundles.history import BundleHistory
    from serve.identity.audit_repository import AuditRepository
    from serve.storage.database import open_database

    engine = open_database(url)
    try:
        staging = staging_of(BundleHistory(AuditRepository(engine, SystemClock().now)).entries())
    finally:
        engine.dispose()
    return BundleLoader(store).first_champion(staging).generation
