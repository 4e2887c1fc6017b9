"""The sources of newer prices that the settings allow."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

import msgspec

from serve.catalogue.provider_lists import LISTS
from serve.catalogue.provider_rows import load_provider_rows
from serve.errors import ConfigurationError
from serve.packaged_files import data_dir
from serve.prices.get_json import FetchFailed, get_bytes, read_file
from serve.prices.table_file import OPERATORS_FILE, PUBLISHED, TableFile
from serve.provider_keys.accounts import OpenedProviderKey, ProviderAccount, open_accounts, open_stored_account
from serve.settings import Settings

SourceKind = Literal["published", "providers", "file"]
SOURCE_KINDS: Final[tuple[SourceKind, ...]] = get_args(SourceKind)


@dataclass(frozen=True, slots=True)
class PriceSource:
    """A source of newer prices.

    Args:
        name: Name of its table: `published`, `file`, or the id of a provider.
        fetch: Function that gets the table at a time. It blocks, and raises `FetchFailed`.
        watched: File whose change makes the source due; None: it is due by time.
    """

    name: str
    fetch: Callable[[datetime], TableFile]
    watched: Path | None = None

    def stamp(self) -> str:
        """Return the state of the watched file, which changes with it; empty: there is no file."""
        if self.watched is None:
            return ""
        try:
            state = self.watched.stat()
        except OSError:
            return "missing"
        return f"{state.st_mtime_ns}/{state.st_size}"


class AllowedSources:
    """The sources that the settings allow, also with keys of the operator that are stored while the gateway runs.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; hold provider keys.
        stored: Function that returns the operator's stored keys.

    Raises:
        ConfigurationError: A provider's settings are wrong.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        stored: Callable[[], Sequence[OpenedProviderKey]] = tuple,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._stored = stored
        self._keys: tuple[OpenedProviderKey, ...] = ()
        self._sources = sources_of(settings, environment)

    def __call__(self) -> tuple[PriceSource, ...]:
        """Return the sources of this moment."""
        keys = tuple(key for key in self._stored() if key.key.provider in LISTS)
        if keys != self._keys:
            self._keys, self._sources = keys, sources_of(self._settings, self._environment, stored=keys)
        return self._sources


def sources_of(
    settings: Settings,
    environment: Mapping[str, str],
    kinds: Iterable[SourceKind] | None = None,
    stored: Sequence[OpenedProviderKey] = (),
) -> tuple[PriceSource, ...]:
    """Return the sources that the settings allow, or those of the given kinds.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; hold provider keys.
        kinds: Kinds of sources that the operator asks for by hand; None: the settings decide.
        stored: The operator's stored keys; used for providers without a key in the settings or the environment.

    Raises:
        ConfigurationError: A provider's settings are wrong, or no file is set and one is asked for.
    """
    allowed = (*settings.prices.sources, *(["file"] if settings.prices.file else [])) if kinds is None else (*kinds,)
    sources = []
    if "published" in allowed:
        sources.append(_published(settings.prices.url))
    if "file" in allowed:
        if not settings.prices.file:
            raise ConfigurationError("prices.file is not set: name the file with your copy of a published table")
        sources.append(_file(Path(settings.prices.file)))
    if "providers" in allowed:
        for row in load_provider_rows(data_dir() / "providers"):
            if row.id in LISTS:
                accounts = open_accounts(row, settings, environment, [])
                accounts += [
                    account
                    for key in stored
                    if key.key.provider == row.id and (account := open_stored_account(row, key, [])) is not None
                ]
                sources += [_list(account) for account in accounts[:1]]
    return tuple(sources)


def _published(url: str) -> PriceSource:
    origin = _address(url)
    return PriceSource(PUBLISHED, lambda now: _table(PUBLISHED, origin, now, *get_bytes(url, {})))


def _file(path: Path) -> PriceSource:
    return PriceSource(OPERATORS_FILE, lambda now: _table(OPERATORS_FILE, str(path), now, *read_file(path)), path)


def _list(account: ProviderAccount) -> PriceSource:
    url = f"{account.base_url}/models"
    origin = _address(url).partition("://")[2]
    headers = dict(account.headers)
    return PriceSource(
        account.row.id, lambda now: _table(account.row.id, origin, now, get_bytes(url, headers)[0], None)
    )


def _address(url: str) -> str:
    """Return a URL as it may be shown and stored: without user name, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _table(name: str, origin: str, now: datetime, content: bytes, published_on: date | None) -> TableFile:
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FetchFailed(f"{origin}: not JSON ({error})") from None
    return TableFile(name, origin, now, published_on, msgspec.Raw(content))
