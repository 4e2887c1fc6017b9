"""Estimates a model's ability from its price and family, before it has answered anything.

    ability = intercept + slope * log(USD per million output tokens) + surplus of its family

The line is fitted to the trained models, at the prices that they had then. More expensive models are better on average,
and some families are better than their price says: that is their surplus.
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
"""A family's surplus is drawn towards 0, with the weight of this many models."""
_FEWEST_MODELS = 8
_FAMILY = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class AbilityPrior:
    """The fitted line and the surpluses; the module's text has the formula.

    Args:
        intercept, slope: Coefficients of the line.
        families: Family -> surplus.
        std: Standard deviation of the error on models that were left out of the fit.
    """

    intercept: float
    slope: float
    families: Mapping[str, float]
    std: float

    @classmethod
    def fit(cls, names: Sequence[str], abilities: Sequence[float], output_usd_per_mtok: Sequence[float]) -> Self | None:
        """Fit to the trained models with a known price, or return None when there are fewer than eight.

        Args:
            names: Names of the models.
            abilities: Abilities of the models, log odds.
            output_usd_per_mtok: Prices of the models; NaN: unknown.
        """
        priced = [place for place, price in enumerate(output_usd_per_mtok) if not isnan(price) and price > 0]
        if len(priced) < _FEWEST_MODELS:
            return None
        rows = [(family_of(names[place]), log(output_usd_per_mtok[place]), float(abilities[place])) for place in priced]
        errors = []
        for place, (family, price, ability) in enumerate(rows):
            without = rows[:place] + rows[place + 1 :]
            errors.append(ability - _expected(*_fit(without), family, price))
        return cls(*_fit(rows), float(np.sqrt(np.mean(np.square(errors)))))

    def of(self, name: str, output_usd_per_mtok: float) -> float:
        """Return the expected ability of a model.

        Args:
            name: Name of the model, with or without its vendor.
            output_usd_per_mtok: Price of the model, above 0.
        """
        return _expected(self.intercept, self.slope, self.families, family_of(name), log(output_usd_per_mtok))


def family_of(name: str) -> str:
    """Return the first word of a model's bare name: `llama` of `meta-llama/llama-4-scout`."""
    word = _FAMILY.match(name.rpartition("/")[2].lower())
    return word[0] if word else ""


_Row = tuple[str, float, float]


def _fit(rows: Sequence[_Row]) -> tuple[float, float, Mapping[str, float]]:
    design = np.array([(1.0, price) for _, price, _ in rows])
    wanted = np.array([ability for *_, ability in rows])
    intercept, slope = np.linalg.solve(design.T @ design + _LINE_PRECISION * np.eye(2), design.T @ wanted)
    surplus: defaultdict[str, list[float]] = defaultdict(list)
    for family, price, ability in rows:
        surplus[family].append(ability - intercept - slope * price)
    families = {
        family: fmean(values) * len(values) / (len(values) + _FAMILY_PRIOR_MODELS)
        for family, values in sorted(surplus.items())
    }
    return float(intercept), float(slope), MappingProxyType(families)


def _expected(intercept: float, slope: float, families: Mapping[str, float], family: str, log_price: float) -> float:
    return intercept + slope * log_price + families.get(family, 0.0)
