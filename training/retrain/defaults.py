"""Defaults of the command line, in a module without heavy imports."""

from typing import Final

DEFAULT_HALF_LIFE_DAYS: Final = 7.0
