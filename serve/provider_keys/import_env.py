"""Reads provider keys from a `.env` file."""

from collections.abc import Sequence
from pathlib import Path

from dotenv import dotenv_values

from serve.catalogue.provider_rows import ProviderRow
from serve.errors import ConfigurationError
from serve.provider_keys.importable_key import Importable, keys_in_environment


def read_env_file(path: Path, rows: Sequence[ProviderRow]) -> Importable:
    """Return the provider keys of a file.

    Raises:
        ConfigurationError: The file does not exist or is no text.
    """
    try:
        with path.open(encoding="utf-8") as opened:
            values = dotenv_values(stream=opened)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    keys = keys_in_environment(rows, values, path.name)
    notes = () if keys else (f"{path}: it has no variable of a provider in the catalogue",)
    return Importable(tuple(keys), notes=notes)
