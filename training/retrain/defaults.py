"""What the command line says by default, where nothing heavy may be imported."""

from typing import Final

DEFAULT_HALF_LIFE_DAYS: Final = 7.0
