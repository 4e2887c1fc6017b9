"""Where the files of this checkout lie that tests read."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
SHIPPED_BUNDLE: Final = ROOT / "models" / "llmdeal-base-2"
FIXTURES: Final = ROOT / "tests" / "fixtures"
