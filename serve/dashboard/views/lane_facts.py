"""The lanes on a page: price, capabilities and present state. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from router.lane import Capability, Lane
from router.price_table import Price
from serve.dashboard.views.lane_basis import NO_BASIS, LaneBasis, bases_of
from serve.lanes.directory import LaneDirectory
from serve.lanes.health import LaneVitals
from serve.lanes.refused_parameters import RefusedParameter

Health = Literal["rests", "shaky", "fine"]
_SHAKY = 0.1
_HIDDEN = ("DIALECT", "THOUGHTS")


@dataclass(frozen=True, slots=True)
class LaneFact:
    """One lane.

    Args:
        lane: Lane that is shown.
        capabilities: Capabilities in words, without those about dialects.
        basis: Basis of its predicted quality.
        price_age_days: Days since the day of its price's data; None: the operator set the price.
        other_price: Price of another source, if it differs; None: it does not.
        vitals: Present state in figures.
        health: Present state in a word.
        quality_shift: Shift of its log odds of a good answer that was learned online; 0: none.
        is_choosable: Whether policies may choose it for a request that names no lane.
        refused_parameters: Parameters that its model lately refused.
    """

    lane: Lane
    capabilities: tuple[str, ...]
    basis: LaneBasis
    price_age_days: int | None
    other_price: Price | None
    vitals: LaneVitals
    health: Health
    quality_shift: float = 0.0
    is_choosable: bool = True
    refused_parameters: tuple[str, ...] = ()


def lane_facts(
    directory: LaneDirectory,
    today: date,
    other_prices: Mapping[str, Price],
    refused: Sequence[RefusedParameter] = (),
    *,
    makes_vectors: bool = False,
) -> list[LaneFact]:
    """Return the lanes of a directory, those that policies may choose first, by id.

    Args:
        directory: Directory of the lanes.
        today: Present day, for the age of prices.
        other_prices: Lane id -> price of a second source that differs.
        refused: Parameters that models lately refused.
        makes_vectors: Whether they are embedding lanes.
    """
    table = directory.table
    vitals = directory.health.vitals()
    bases = bases_of(table)
    shifts = directory.quality_shifts.get(directory.router_version)
    facts = [
        LaneFact(
            lane,
            _capabilities(lane),
            NO_BASIS if makes_vectors else bases[row],
            lane.price.age_days(today),
            other_prices.get(lane.lane_id),
            vitals[row],
            health_of(vitals[row]),
            0.0 if shifts is None else float(shifts[row]),
            row < len(directory.choosable),
            tuple(
                entry.parameter
                for entry in refused
                if (entry.provider, entry.upstream_model) == (lane.provider, lane.upstream_model)
            ),
        )
        for row, lane in enumerate(table.lanes)
    ]
    return sorted(facts, key=lambda fact: (not fact.is_choosable, fact.lane.lane_id))


def narrowed(facts: Sequence[LaneFact], provider: str, words: str, *, shows_all: bool) -> list[LaneFact]:
    """Return the lanes of one provider, or of all, with each of the words in their names.

    Args:
        facts: All lanes.
        provider: Id of the provider; empty: all.
        words: Words to look for; empty: any name.
        shows_all: Whether lanes that only requests naming them get are shown without a search for words.
    """
    wanted = words.lower().split()
    return [
        fact
        for fact in facts
        if (fact.is_choosable or shows_all or wanted)
        and provider in ("", fact.lane.provider)
        and all(word in f"{fact.lane.lane_id} {fact.lane.vendor_model}".lower() for word in wanted)
    ]


def health_of(vitals: LaneVitals) -> Health:
    """Return the state of a lane in a word."""
    if vitals.rests_for_s > 0:
        return "rests"
    return "shaky" if vitals.error_rate >= _SHAKY else "fine"


def troubled(facts: Sequence[LaneFact]) -> list[LaneFact]:
    """Return the lanes that rest or fail now, the worst first."""
    return sorted(
        (fact for fact in facts if fact.health != "fine"),
        key=lambda fact: (-fact.vitals.rests_for_s, -fact.vitals.error_rate),
    )


def _capabilities(lane: Lane) -> tuple[str, ...]:
    names = [str(flag.name) for flag in Capability if flag in lane.capabilities]
    return tuple(name.lower().replace("_", " ") for name in names if not name.endswith(_HIDDEN))
