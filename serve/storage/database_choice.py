"""Where telemetry is stored: a URL, a SQLite file, or the embedded default."""

from collections.abc import Mapping
from pathlib import Path

from serve.errors import ConfigurationError
from serve.settings import default_database_file


def database_url(setting: str, environment: Mapping[str, str]) -> str:
    """Return the SQLAlchemy URL; the folder of a SQLite file is made when it is missing.

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
    """Return where further bundles are looked for: as it is set, else beside the SQLite file, or in the data folder of this machine."""
    return Path(setting) if setting else _data_folder(database, environment) / "bundles"


def journal_folder(setting: str, environment: Mapping[str, str]) -> Path:
    """Return where workers keep their journals of money: beside the SQLite file, or in the data folder of this machine."""
    return _data_folder(setting, environment) / "journals"


def _data_folder(database: str, environment: Mapping[str, str]) -> Path:
    is_other_file = bool(database) and "://" not in database
    file = Path(database) if is_other_file else default_database_file(environment)
    return file.absolute().parent
