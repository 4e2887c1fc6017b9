"""What other tables would change about the prices in use, and whether that needs the operator's confirmation. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from router.price_table import Price
from serve.catalogue.price_sources import PriceUse

MOST_GONE: Final = Decimal("0.05")
"""Largest share of the models in use that a new table may lack."""
LARGE_MOVE: Final = Decimal("0.5")
"""Change of a rate from which on it needs a confirmation, as a share of the former rate."""
_RATES: Final = (
    "input_usd_per_mtok",
    "cached_input_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "output_usd_per_mtok",
)
_PIECES: Final = ("request_usd", "web_search_usd", "file_search_usd")


@dataclass(frozen=True, slots=True)
class RateChange:
    """One rate that differs.

    Args:
        name: Name of the rate, with its service tier and prompt length where it has any.
        before: Rate in use.
        after: Rate in the other tables.
    """

    name: str
    before: Decimal
    after: Decimal

    @property
    def move(self) -> Decimal | None:
        """Change as a share of the former rate; None: it was 0."""
        return None if self.before == 0 else (self.after - self.before) / self.before

    @property
    def is_large(self) -> bool:
        """Whether it needs a confirmation."""
        return self.move is None or abs(self.move) >= LARGE_MOVE


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One model in use whose price differs.

    Args:
        use: Model at a provider.
        before: Price in use; None: it had none.
        after: Price in the other tables; None: they have none.
        rates: Rates that differ; empty if one of the two is None.
    """

    use: PriceUse
    before: Price | None
    after: Price | None
    rates: tuple[RateChange, ...]

    @property
    def name(self) -> str:
        """Its name as in the ids of lanes."""
        return f"{self.use.provider}/{self.use.model}"


def compare(used: Mapping[PriceUse, Price | None], look_up: Callable[[PriceUse], Price | None]) -> list[PriceChange]:
    """Return what differs for the models in use, by name.

    Args:
        used: Prices in use; None: the model has none now.
        look_up: Function that returns the price in the other tables.
    """
    changes = []
    for use, before in used.items():
        after = look_up(use)
        rates = () if before is None or after is None else tuple(_differing_rates(before, after))
        if rates or (before is None) != (after is None):
            changes.append(PriceChange(use, before, after, rates))
    return sorted(changes, key=lambda change: change.name)


def problems_of(changes: Sequence[PriceChange], n_used: int) -> list[str]:
    """Return what needs the operator's confirmation, in words; empty: nothing.

    Args:
        changes: Result of `compare`.
        n_used: Number of models in use that have a price now.
    """
    problems = []
    gone = [change.name for change in changes if change.before is not None and change.after is None]
    if gone and len(gone) > MOST_GONE * n_used:
        problems.append(f"{len(gone)} of {n_used} models in use are gone: {_some(gone)}")
    moved = [
        f"{change.name} {rate.name} {rate.before.normalize():f} -> {rate.after.normalize():f}"
        for change in changes
        for rate in change.rates
        if rate.is_large
    ]
    if moved:
        problems.append(f"{len(moved)} rates of models in use move by half or more: {_some(moved)}")
    return problems


def _some(names: Sequence[str], n_shown: int = 5) -> str:
    more = f" and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return ", ".join(names[:n_shown]) + more


def _differing_rates(before: Price, after: Price) -> Iterator[RateChange]:
    tiers = sorted({name for price in (before, after) for name, _ in price.service_tiers})
    for tier in (None, *tiers):
        yield from _differing_at(before.at(tier), after.at(tier), "" if tier is None else f" {tier}")


def _differing_at(before: Price, after: Price, tier: str) -> Iterator[RateChange]:
    starts = sorted({0, *(each.above_prompt_tokens for price in (before, after) for each in price.tiers)})
    for start in starts:
        rates = before.rates_for(start + 1), after.rates_for(start + 1)
        above = f" above {start}" if start else ""
        for name in _RATES:
            old, new = getattr(rates[0], name), getattr(rates[1], name)
            if old != new:
                yield RateChange(f"{name.removesuffix('_usd_per_mtok')}{tier}{above}", old, new)
    for name in _PIECES:
        old_piece, new_piece = getattr(before, name), getattr(after, name)
        if old_piece is not None and old_piece != (new_piece or Decimal(0)):
            yield RateChange(f"{name.removesuffix('_usd')}{tier}", old_piece, new_piece or Decimal(0))
