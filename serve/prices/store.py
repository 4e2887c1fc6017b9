"""The folder of price tables: those in use, those kept aside, and when each source was asked.

```
prices/published.json             the last good table of each source
prices/quarantine/openrouter.json a table that needs the operator's confirmation
prices/asked.json                 when each source was asked, and what came of it
prices/turn.lock                  held by the process that asks
```
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Final

import msgspec

from serve.catalogue.price_sources import PriceTables
from serve.catalogue.provider_lists import LISTS, ProviderList
from serve.catalogue.published_table import MalformedTableError, PublishedTable, packaged_table
from serve.errors import ConfigurationError
from serve.prices.table_file import OPERATORS_FILE, PUBLISHED, TableFile, decode_table_file, encode_table_file
from serve.settings import Settings
from serve.storage.database_choice import prices_folder
from serve.storage.file_lock import try_lock
from serve.storage.whole_file import write_whole

NAMES: Final = (PUBLISHED, OPERATORS_FILE, *sorted(LISTS))
_SUFFIX: Final = ".json"
_log = logging.getLogger("llmdeal.prices")

Signature = tuple[tuple[str, int, int], ...]
"""Name, time of change and size of each stored table."""


class Asked(msgspec.Struct, frozen=True):
    """What came of asking a source.

    Args:
        at: Time, UTC.
        outcome: `unchanged`, `accepted`, `quarantined`, or the error in words.
        digest: Hash of the table that came; empty: none came.
        stamp: Time of change and size of the operator's file; empty for other sources.
    """

    at: datetime
    outcome: str
    digest: str = ""
    stamp: str = ""


class PriceStore:
    """The tables of one machine. All workers and commands of the machine share the folder.

    Args:
        folder: Folder; it is made when the first table is stored.
        has_file: Whether the settings name a file of the operator's own. A stored copy of one is used only then.
    """

    def __init__(self, folder: Path, *, has_file: bool) -> None:
        self.folder = folder
        self._has_file = has_file

    @classmethod
    def of_settings(cls, settings: Settings, environment: Mapping[str, str]) -> "PriceStore":
        """Return the store that the settings choose."""
        folder = prices_folder(settings.prices.folder, settings.database, environment)
        return cls(folder, has_file=bool(settings.prices.file))

    def tables(self, today: date) -> PriceTables:
        """Return the tables to use. Blocks.

        A stored table that cannot be read is left out with an error in the log, and so is the copy of a published
        table that is older than the installed package's. A provider's list that is older than the published table is
        left out too.
        """
        published = self._published(today)
        file = self._opened(OPERATORS_FILE) if self._has_file else None
        tables = PriceTables(published, file if isinstance(file, PublishedTable) else None)
        for provider in LISTS:
            opened = self._opened(provider)
            if isinstance(opened, ProviderList) and opened.dated >= (published or packaged_table()).dated:
                tables = tables.with_list(opened)
        return tables

    def stored(self, name: str) -> TableFile | None:
        """Return a table in use, as stored; None: there is none that can be read."""
        return self._read(self._path(name))

    def quarantined(self) -> list[TableFile]:
        """Return the tables that are kept aside, by name."""
        files = (self._read(self._path(name, is_aside=True)) for name in NAMES)
        return [file for file in files if file is not None]

    def accept(self, file: TableFile) -> None:
        """Use a table from now on; one of the same name that was kept aside is removed.

        Raises:
            OSError: The folder cannot be written.
        """
        write_whole(self._path(file.name), encode_table_file(file))
        self._path(file.name, is_aside=True).unlink(missing_ok=True)

    def quarantine(self, file: TableFile) -> None:
        """Keep a table aside, in place of an earlier one of its name.

        Raises:
            OSError: The folder cannot be written.
        """
        write_whole(self._path(file.name, is_aside=True), encode_table_file(file))

    def confirm(self, name: str, now: datetime) -> TableFile:
        """Use a table that was kept aside; return it.

        Raises:
            ConfigurationError: There is none of that name, it cannot be read, or the folder cannot be written.
        """
        file = self._read(self._path(name, is_aside=True))
        if file is None:
            names = ", ".join(each.name for each in self.quarantined()) or "none"
            raise ConfigurationError(f"no table {name!r} waits for confirmation. Waiting: {names}.")
        file.opened()
        confirmed = msgspec.structs.replace(file, check="confirmed", confirmed_at=now)
        try:
            self.accept(confirmed)
        except OSError as error:
            raise self._unwritable(error) from error
        return confirmed

    def asked(self) -> dict[str, Asked]:
        """Return name of a source -> what came of asking it last."""
        try:
            return msgspec.json.decode((self.folder / "asked.json").read_bytes(), type=dict[str, Asked])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    def note_asked(self, name: str, asked: Asked) -> None:
        """Store what came of asking a source; only for the process whose turn it is.

        Raises:
            OSError: The folder cannot be written.
        """
        write_whole(self.folder / "asked.json", msgspec.json.encode({**self.asked(), name: asked}))

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Hold the turn to ask sources; yields False if another process of this machine holds it.

        Raises:
            ConfigurationError: The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / "turn.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield try_lock(lock)
        finally:
            os.close(lock)

    def contents(self) -> frozenset[tuple[str, str]]:
        """Return the name and the hash of every table in use. Unlike `signature`, it reads them."""
        files = (self.stored(name) for name in NAMES)
        return frozenset((file.name, file.digest) for file in files if file is not None)

    def signature(self) -> Signature:
        """Return something that changes whenever a stored table changes."""
        states = []
        for name in NAMES:
            for is_aside in (False, True):
                path = self._path(name, is_aside=is_aside)
                try:
                    state = path.stat()
                except OSError:
                    continue
                states.append((str(path.relative_to(self.folder)), state.st_mtime_ns, state.st_size))
        return tuple(states)

    def _published(self, today: date) -> PublishedTable | None:
        file = self.stored(PUBLISHED)
        opened = None if file is None else self._open(file)
        if file is None or not isinstance(opened, PublishedTable):
            return None
        packaged = packaged_table()
        if file.confirmed_at is not None and file.confirmed_at.date() >= packaged.dated:
            return opened
        is_newer = file.read_at.date() >= packaged.dated
        return opened if is_newer and opened.newest_rate(today) >= packaged.newest_rate(today) else None

    def _opened(self, name: str) -> PublishedTable | ProviderList | None:
        file = self.stored(name)
        return None if file is None else self._open(file)

    def _open(self, file: TableFile) -> PublishedTable | ProviderList | None:
        try:
            return file.opened()
        except MalformedTableError as error:
            _log.error("%s is left out: %s", self._path(file.name), error)
            return None

    def _read(self, path: Path) -> TableFile | None:
        try:
            return decode_table_file(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, MalformedTableError) as error:
            _log.error("%s is left out: %s", path, error)
            return None

    def _path(self, name: str, *, is_aside: bool = False) -> Path:
        return (self.folder / "quarantine" if is_aside else self.folder) / f"{name}{_SUFFIX}"

    def _unwritable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"{self.folder}: cannot be written ({error.strerror}): set prices.folder to another folder"
        )
