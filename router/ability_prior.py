"""What a model's price and family say of its ability, before it has answered anything.

    ability = intercept + slope * log(USD per million output tokens) + what its family's trained models are above or below that

fitted to the trained models at the prices they had then. Dearer models are better, on average, and some makers give more for the money.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, log
from statistics import fmean
from types import MappingProxyType
from typing import Self

import numpy as np

_LINE_PRECISION = 0.1
_FAMILY_PRIOR_MODELS = 2.0
"""A family's surplus is drawn towards none, which counts like so many models."""
_FEWEST_MODELS = 8
_FAMILY = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class AbilityPrior:
    """See the module's text.

    Args:
        intercept, slope: Of the line.
        families: Family -> surplus.
        std: Of the error on models that were left out.
    """

    intercept: float
    slope: float
    families: Mapping[str, float]
    std: float

    @classmethod
    def fit(cls, names: Sequence[str], abilities: Sequence[float], output_usd_per_mtok: Sequence[float]) -> Self | None:
        """Fit to the trained models whose price is known; None where there are fewer than eight.

        Args:
            names: Of the models.
            abilities: Of the same, log odds.
            output_usd_per_mtok: Of the same; NaN: unknown.
        """
        known = [place for place, price in enumerate(output_usd_per_mtok) if not isnan(price) and price > 0]
        if len(known) < _FEWEST_MODELS:
            return None
        rows = [(family_of(names[place]), log(output_usd_per_mtok[place]), float(abilities[place])) for place in known]
        errors = []
        for place, (family, price, ability) in enumerate(rows):
            without = rows[:place] + rows[place + 1 :]
            errors.append(ability - _expected(*_fit(without), family, price))
        return cls(*_fit(rows), float(np.sqrt(np.mean(np.square(errors)))))

    def of(self, name: str, output_usd_per_mtok: float) -> float:
        """Return the ability to expect of a model.

        Args:
            name: With or without its vendor.
            output_usd_per_mtok: Above 0.
        """
        return _expected(self.intercept, self.slope, self.families, family_of(name), log(output_usd_per_mtok))


def family_of(name: str) -> str:
    """Return the first word of a model's bare name: `llama` of `meta-llama/llama-4-scout`."""
    found = _FAMILY.match(name.rpartition("/")[2].lower())
    return found[0] if found else ""


_Row = tuple[str, float, float]


def _fit(rows: Sequence[_Row]) -> tuple[float, float, Mapping[str, float]]:
    design = np.array([(1.0, price) for _, price, _ in rows])
    wanted = np.array([ability for *_, ability in rows])
    intercept, slope = np.linalg.solve(design.T @ design + _LINE_PRECISION * np.eye(2), design.T @ wanted)
    surplus: defaultdict[str, list[float]] = defaultdict(list)
    for family, price, ability in rows:
        surplus[family].append(ability - intercept - slope * price)
    families = {
        family: fmean(found) * len(found) / (len(found) + _FAMILY_PRIOR_MODELS)
        for family, found in sorted(surplus.items())
    }
    return float(intercept), float(slope), MappingProxyType(families)


def _expected(intercept: float, slope: float, families: Mapping[str, float], family: str, log_price: float) -> float:
    return intercept + slope * log_price + families.get(family, 0.0)
