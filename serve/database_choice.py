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
        raise ConfigurationError(f"database {file}: cannot make its folder: {error.strerror}") from None
    return f"sqlite:///{file.absolute()}"
