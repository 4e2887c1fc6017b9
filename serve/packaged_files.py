"""Finds the data that travels with the package: in the checkout's own folders, else in the copies inside the wheel."""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent


def data_dir() -> Path:
    """Return the folder of provider rows, prices and models."""
    return _locate("data")


def models_dir() -> Path:
    """Return the folder of shipped bundles."""
    return _locate("models")


def _locate(name: str) -> Path:
    if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / name).is_dir():
        return _CHECKOUT / name
    return Path(__file__).resolve().parent / "bundled" / name
