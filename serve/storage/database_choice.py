"""The places of stored data: the URL of the database, and the folders of bundles, prices and journals."""

from collections.abc import Mapping
from pathlib import Path

from serve.errors import ConfigurationError
from serve.settings import default_database_file


def database_url(setting: str, environment: Mapping[str, str]) -> str:
    """Return the SQLAlchemy URL of the database: a URL or a SQLite file from the settings, or the default file.

    The folder of a SQLite file is made if it is missing.

    Raises:
        ConfigurationError: The folder cannot be made.
    """
    if "://" in setting:
        return setting
    file = Path(setting) if setting else default_database_file(environment)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"database {file}: cannot make its folder: {error.strerror}") from error
    return f"sqlite:///{file.absolute()}"


def bundles_folder(setting: str, database: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of further bundles: the one from the settings, else `bundles` in the data folder."""
    return Path(setting) if setting else _data_folder(database, environment) / "bundles"


def journal_folder(setting: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of the workers' journals of charges: `journals` in the data folder."""
    return _data_folder(setting, environment) / "journals"


def prices_folder(setting: str, database: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of price tables: the one from the settings, else `prices` in the data folder."""
    return Path(setting) if setting else _data_folder(database, environment) / "prices"


def _data_folder(database: str, environment: Mapping[str, str]) -> Path:
    """Return the folder of the SQLite file; if the database is a server, the data folder of this machine."""
    is_other_file = bool(database) and "://" not in database
    file = Path(database) if is_other_file else default_database_file(environment)
    return file.absolute().parent
