"""The models whose prices are checked before a new table is used: those that were asked lately, and those in pins."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from router.model_name import model_name
from router.price_table import Price
from serve.catalogue.price_sources import PriceUse
from serve.instant import to_microseconds
from serve.storage.identity_tables import VIRTUAL_KEY_TABLE
from serve.storage.tables import ATTEMPT_TABLE

LATELY: Final = timedelta(days=30)
"""Time for which a model stays in use after it was asked."""
_WILDCARDS: Final = frozenset("*?[")

Used = Mapping[PriceUse, Price | None]


class ModelsInUse:
    """Finds the models in use. Blocks.

    Args:
        engine: The database, with the log of attempts and the stored virtual keys.
        patterns: Function that returns the lanes that virtual keys of the settings may use, as patterns.
    """

    def __init__(self, engine: Engine, patterns: Callable[[], Collection[str]] = tuple) -> None:
        self._engine = engine
        self._patterns = patterns

    def among(self, priced: Used, now: datetime) -> Used:
        """Return the prices of the models in use, of those that have a price or a lane.

        In use are models that any account asked in the last 30 days, and models that a virtual key names without a
        wildcard. If there is none, or if the database is away, every model counts.

        Args:
            priced: Prices of all models of the providers that have a key.
            now: Present time.
        """
        try:
            asked, named = self._asked_since(now - LATELY), self._named()
        except DBAPIError:
            return priced
        in_use = {
            use: price
            for use, price in priced.items()
            if (use.provider, model_name(use.model, use.provider)) in asked or _is_named(use, named)
        }
        return in_use or priced

    def _asked_since(self, since: datetime) -> set[tuple[str, str]]:
        """Return the provider and the model's name of every attempt since then. Other ids of a model count too."""
        attempt = ATTEMPT_TABLE.c
        query = (
            select(attempt.provider, attempt.upstream_model)
            .where(attempt.started_at_us >= to_microseconds(since))
            .distinct()
        )
        with self._engine.connect() as connection:
            return {(provider, model_name(model, provider)) for provider, model in connection.execute(query)}

    def _named(self) -> set[str]:
        """Return the names of lanes and models that virtual keys pin."""
        key = VIRTUAL_KEY_TABLE.c
        query = select(key.lanes).where(key.revoked_at_us.is_(None))
        with self._engine.connect() as connection:
            patterns = [pattern for (lanes,) in connection.execute(query) for pattern in lanes]
        return {
            pattern for pattern in (*patterns, *self._patterns()) if "/" in pattern and not _WILDCARDS & set(pattern)
        }


def _is_named(use: PriceUse, names: Collection[str]) -> bool:
    """Return whether a name is this model, by its lane's id (with or without account and effort) or its vendor."""
    if not names:
        return False
    ids = (f"{use.provider}/{use.model}", f"{use.provider}@*/{use.model}", model_name(use.model, use.provider))
    return any(fnmatchcase(name, wanted) for name in names for each in ids for wanted in (each, f"{each}:*"))
