"""What a bundle's makers measured: does routing beat a mix of two lanes that knows no prompt, on which kind of work?

The figures are the optional entry `pools` of a bundle's manifest. Each holds for one kind of work and one set of
models, so a gateway shows those that concern its lanes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

from router.errors import BundleError
from router.model_name import plain_name

POOLS_ENTRY: Final = "pools"
_REMEDY = "measure the bundle again or get a whole copy"
_SHARE_REACHED = 0.8
_TEXTS = ("source", "work", "cost_basis")
_NUMBERS = ("gap_closed", "lead", "lead_low", "lead_high")


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Figures of one kind of work on one set of models, measured on prompts that were kept aside.

    Args:
        source, work: Source of the graded prompts, and its kind of work in words.
        keys: Providers whose keys reach the models.
        models: Names of the models, `vendor/model`.
        prompts: Number of prompts kept aside.
        is_small: Whether the prompts are too few to trust the figures.
        cost_basis: Origin of the costs; "paid": the source states what each answer cost.
        gap_closed: Share of the way from the best single model at every budget to an oracle.
        lead: Mean score that routing gains over the mix of two lanes at the same mean cost, in points of score.
        lead_low, lead_high: Ends of its 90% interval.
    """

    source: str
    work: str
    keys: tuple[str, ...]
    models: tuple[str, ...]
    prompts: int
    is_small: bool
    cost_basis: str
    gap_closed: float
    lead: float
    lead_low: float
    lead_high: float

    @property
    def saves(self) -> bool:
        """Whether routing beats the mix beyond its interval, on enough prompts to trust it."""
        return self.lead_low > 0 and not self.is_small


def read_pool_figures(manifest: Mapping[str, object], path: Path) -> tuple[PoolFigures, ...]:
    """Return the figures of a manifest; empty if it has none.

    Args:
        manifest: Manifest of a bundle.
        path: File that it came from, for errors.

    Raises:
        BundleError: The entry is malformed.
    """
    entries = manifest.get(POOLS_ENTRY, [])
    if not isinstance(entries, list):
        raise BundleError(f"{path}: {POOLS_ENTRY} is not a list: {_REMEDY}")
    return tuple(_read(entry, f"{path}: {POOLS_ENTRY}[{number}]") for number, entry in enumerate(entries))


def figures_for(figures: Sequence[PoolFigures], models: Collection[str]) -> list[tuple[PoolFigures, bool]]:
    """Return the figures to show for a gateway's models, one for each kind of work, with whether they hold for them.

    Of the sets of which the gateway reaches at least four fifths of the models, the largest one counts. If there is
    none, the largest set of all stands in, and the figures do not hold for these models.

    Args:
        figures: Figures of the bundle.
        models: Names of the models of the gateway's lanes, `vendor/model`; an effort after `@` does not count.
    """
    reached = {plain_name(model.partition("@")[0]) for model in models}
    chosen = []
    for source in dict.fromkeys(each.source for each in figures):
        of_source = sorted(
            (each for each in figures if each.source == source), key=lambda each: len(each.models), reverse=True
        )
        own = [each for each in of_source if _share_in(reached, each.models) >= _SHARE_REACHED]
        chosen.append(((own or of_source)[0], bool(own)))
    return chosen


def _share_in(reached: Collection[str], models: Sequence[str]) -> float:
    return sum(plain_name(model) in reached for model in models) / len(models)


def _read(entry: object, place: str) -> PoolFigures:
    if not isinstance(entry, Mapping):
        raise BundleError(f"{place} is not an object: {_REMEDY}")
    for name in _TEXTS:
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise BundleError(f"{place}: {name} is not a text: {_REMEDY}")
    for name in ("keys", "models"):
        texts = entry.get(name)
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise BundleError(f"{place}: {name} is not a list of texts: {_REMEDY}")
    for name in _NUMBERS:
        number = entry.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
            raise BundleError(f"{place}: {name} is not a number: {_REMEDY}")
    prompts = entry.get("prompts")
    if isinstance(prompts, bool) or not isinstance(prompts, int) or prompts < 1:
        raise BundleError(f"{place}: prompts is not a whole number of at least 1: {_REMEDY}")
    if not isinstance(entry.get("is_small"), bool):
        raise BundleError(f"{place}: is_small is neither true nor false: {_REMEDY}")
    if not entry["lead_low"] <= entry["lead_high"]:
        raise BundleError(f"{place}: lead_low is above lead_high: {_REMEDY}")
    return PoolFigures(
        source=entry["source"],
        work=entry["work"],
        keys=tuple(entry["keys"]),
        models=tuple(entry["models"]),
        prompts=prompts,
        is_small=entry["is_small"],
        cost_basis=entry["cost_basis"],
        **{name: float(entry[name]) for name in _NUMBERS},
    )
