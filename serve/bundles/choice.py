"""Which quality model to load: a folder, a name in models/, or the shipped one."""

from pathlib import Path

from serve.errors import ConfigurationError
from serve.packaged_files import models_dir

SHIPPED_BUNDLE = "llmdeal-base-2"


def bundle_folder(setting: str) -> Path:
    """Return the bundle's folder.

    Raises:
        ConfigurationError: There is no such folder.
    """
    if not setting:
        return models_dir() / SHIPPED_BUNDLE
    named = models_dir() / setting
    folder = named if named.is_dir() else Path(setting)
    if not folder.is_dir():
        raise ConfigurationError(f"bundle {setting!r}: no such folder, and no bundle of that name in {models_dir()}")
    return folder
