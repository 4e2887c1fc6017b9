"""Asks the allowed sources, checks what comes, and stores it: in use, or aside until it is confirmed. Blocks."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace as changed

from router.errors import PriceError
from router.price_table import Price
from serve.catalogue.price_sources import PriceSources, PriceTables, PriceUse
from serve.catalogue.provider_lists import ProviderList
from serve.catalogue.published_table import MalformedTableError, PublishedTable, packaged_table
from serve.prices.comparison import PriceChange, compare, problems_of
from serve.prices.get_json import FetchFailed
from serve.prices.models_in_use import ModelsInUse
from serve.prices.sources import PriceSource
from serve.prices.store import Asked, PriceStore
from serve.prices.table_file import OPERATORS_FILE, PUBLISHED, TableFile

RETRY_S: Final = 600.0
"""Seconds before a source that gave nothing is asked again."""
_UNCHANGED, _ACCEPTED, _QUARANTINED = "unchanged", "accepted", "quarantined"
_log = logging.getLogger("llmdeal.prices")


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of asking one source.

    Args:
        name: Name of its table.
        outcome: `unchanged`, `accepted`, `quarantined`, or the error in words.
        problems: Problems of a quarantined table.
        is_new: Whether a quarantined table was not seen before.
    """

    name: str
    outcome: str
    problems: tuple[str, ...] = ()
    is_new: bool = False


def with_table(tables: PriceTables, file: TableFile) -> PriceTables:
    """Return the tables with another one in place of the one of its name.

    Raises:
        MalformedTableError: It is not a table of prices.
    """
    opened = file.opened()
    if isinstance(opened, ProviderList):
        return tables.with_list(opened)
    if file.name == OPERATORS_FILE:
        return PriceTables(tables.published, opened, tables.lists)
    return PriceTables(opened, tables.file, tables.lists)


def changes_by(
    store: PriceStore, file: TableFile, used: Mapping[PriceUse, Price | None], now: datetime
) -> list[PriceChange]:
    """Return what a table would change about the prices in use.

    Raises:
        MalformedTableError: It is not a table of prices.
    """
    return compare(used, PriceSources(now, with_table(store.tables(now.date()), file)).look_up)


class PriceRefresh:
    """Asks sources when they are due.

    Args:
        store: Folder of the tables, shared by all processes of this machine.
        sources: Function that returns the sources that may be asked.
        every_s: Seconds between two questions to a source.
        models_in_use: Models whose prices new tables are compared with; None: all that have a lane.
    """

    def __init__(
        self,
        store: PriceStore,
        sources: Callable[[], Sequence[PriceSource]],
        every_s: float,
        models_in_use: ModelsInUse | None = None,
    ) -> None:
        self._store = store
        self._models_in_use = models_in_use
        self._sources = sources
        self._every_s = every_s

    def round(
        self, used: Mapping[PriceUse, Price | None], now: datetime, *, is_forced: bool = False
    ) -> list[Refreshed] | None:
        """Ask every source that is due, unless another process does so now.

        Args:
            used: Prices of all lanes.
            now: Present time.
            is_forced: Whether to ask all sources, due or not.

        Returns:
            What came of each source that was asked; None: another process has the turn.

        Raises:
            ConfigurationError: The folder cannot be written.
        """
        if not is_forced and not self._due(now):
            return []
        with self._store.turn() as is_ours:
            if not is_ours:
                return None
            # Read again: another process may have asked just before.
            due = self._sources() if is_forced else self._due(now)
            return [self._ask(source, used, now) for source in due]

    def _due(self, now: datetime) -> list[PriceSource]:
        sources = self._sources()
        asked = self._store.asked() if sources else {}
        return [source for source in sources if self._is_due(source, asked.get(source.name), now)]

    def _is_due(self, source: PriceSource, last: Asked | None, now: datetime) -> bool:
        if last is None:
            return True
        if source.watched is not None:
            return source.stamp() != last.stamp
        pause_s = self._every_s if last.digest else min(RETRY_S, self._every_s)
        # A clock that was set back must not keep a source from being asked for years.
        return not last.at <= now < last.at + timedelta(seconds=pause_s)

    def _ask(self, source: PriceSource, used: Mapping[PriceUse, Price | None], now: datetime) -> Refreshed:
        stamp, digest = source.stamp(), ""
        try:
            file = source.fetch(now)
            refreshed = self._take(file, used, now)
            digest = file.digest
        except (FetchFailed, MalformedTableError, PriceError) as error:
            _log.warning("prices: %s: %s; the last good table stays in use", source.name, error)
            refreshed = Refreshed(source.name, str(error))
        except OSError as error:
            _log.error("prices: %s cannot be stored (%s)", source.name, error.strerror)
            refreshed = Refreshed(source.name, f"it cannot be stored ({error.strerror})")
        try:
            self._store.note_asked(source.name, Asked(now, refreshed.outcome, digest, stamp))
        except OSError as error:
            _log.error("prices: %s cannot be written (%s)", self._store.folder, error.strerror)
        return refreshed

    def _take(self, file: TableFile, used: Mapping[PriceUse, Price | None], now: datetime) -> Refreshed:
        stored = self._store.stored(file.name)
        if stored is not None and stored.digest == file.digest:
            # Stored again: the prices are now known to hold on this day.
            self._store.accept(changed(stored, read_at=file.read_at, published_on=file.published_on))
            return Refreshed(file.name, _UNCHANGED)
        if self._models_in_use is not None:
            used = self._models_in_use.among(used, now)
        changes = changes_by(self._store, file, used, now)
        n_used = sum(price is not None for price in used.values())
        problems = (*self._age_problems(file, now), *problems_of(changes, n_used))
        if not problems:
            self._store.accept(file)
            _log.info("prices: %s: a new table is in use; %d models in use change", file.name, len(changes))
            return Refreshed(file.name, _ACCEPTED)
        aside = next((each for each in self._store.quarantined() if each.name == file.name), None)
        is_new = aside is None or aside.digest != file.digest
        if is_new:
            self._store.quarantine(changed(file, check=_QUARANTINED, problems=problems))
        return Refreshed(file.name, _QUARANTINED, problems, is_new)

    def _age_problems(self, file: TableFile, now: datetime) -> list[str]:
        """Return whether a published table is older than the one in use."""
        if file.name != PUBLISHED:
            return []
        opened, today = file.opened(), now.date()
        in_use = self._store.tables(today).published or packaged_table()
        assert isinstance(opened, PublishedTable)
        newest, newest_in_use = opened.newest_rate(today), in_use.newest_rate(today)
        if newest >= newest_in_use:
            return []
        return [f"it is older than the table in use: its newest price is of {newest}, not of {newest_in_use}"]
