"""Reads provider keys from a `.env` file."""

from collections.abc import Sequence
from pathlib import Path

from dotenv import dotenv_values

from serve.catalogue.provider_rows import ProviderRow
from serve.errors import ConfigurationError
from serve.provider_keys.importable_key import Found, keys_in_environment


def read_env_file(path: Path, rows: Sequence[ProviderRow]) -> Found:
    """Return the provider keys in a file.

    Raises:
        ConfigurationError: There is no such file, or it is not text.
    """
    try:
        with path.open(encoding="utf-8") as opened:
            values = dotenv_values(stream=opened)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from None
    keys = keys_in_environment(rows, values, path.name)
    notes = () if keys else (f"{path}: no variable of a known provider is in it",)
    return Found(tuple(keys), notes=notes)
