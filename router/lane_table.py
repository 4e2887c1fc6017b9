"""All lanes as columns. The arrays are built once, so that a request costs only a few vector operations."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

import numpy as np

from router.arrays import Floats, Ints, Mask, Rows
from router.catalogue_models import CatalogueModels
from router.effort import EffortColumns, name_at, split_effort
from router.lane import Lane
from router.lane_rows import LaneRows
from router.model_name import has_variant, model_name
from router.placement import Placement
from router.price_table import Price
from router.quality_basis import QualityBasis, describe_basis
from router.trained_places import TrainedPlaces

ASSUMED_CONTEXT_TOKENS = 4_096
"""Context length of a lane that declares none: the shortest that is still sold in 2026. It serves short prompts."""
ASSUMED_TTFT_MS = 800.0
ASSUMED_TOKENS_PER_S = 60.0
"""Speed of a lane without a published speed, before any answer was timed: that of an average hosted model."""
UNKNOWN_ABILITY = 0.0
UNKNOWN_ABILITY_STD = 1.5
"""Belief about a model when nothing is known: average, with a standard deviation that covers nearly every model."""
_LONGEST_NAME = 100
"""Longer names are cut before they are compared, because that takes time with the square of the length."""
_CLOSE_NAMES = 3
_NO_LIMIT = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class LaneRates:
    """The prices of tokens on each lane for prompts of some length, as floats; every array has shape (n_lanes,).

    Args:
        input_usd_per_token: USD per input token.
        cached_usd_per_token: USD per input token that the lane's prompt cache holds.
        output_usd_per_token: USD per output token.
        request_usd: USD per request, in addition to the tokens.
    """

    input_usd_per_token: Floats
    cached_usd_per_token: Floats
    output_usd_per_token: Floats
    request_usd: Floats

    @classmethod
    def of(cls, prices: Sequence[Price], prompt_tokens: int) -> "LaneRates":
        """Return the rates that a prompt of this length is billed at."""
        rates = [price.rates_for(prompt_tokens) for price in prices]
        return cls(
            np.array([float(rate.input_usd_per_mtok) / 1e6 for rate in rates], np.float64),
            np.array([float(rate.cached_input_usd_per_mtok) / 1e6 for rate in rates], np.float64),
            np.array([float(rate.output_usd_per_mtok) / 1e6 for rate in rates], np.float64),
            np.array([float(price.request_usd) for price in prices], np.float64),
        )

    def replaced(self, rows: Rows, others: "LaneRates") -> "LaneRates":
        """Return these rates with those of some rows replaced, shape of the others (n_rows,)."""
        columns = []
        for name in ("input_usd_per_token", "cached_usd_per_token", "output_usd_per_token", "request_usd"):
            column = getattr(self, name).copy()
            column[rows] = getattr(others, name)
            columns.append(column)
        return LaneRates(*columns)


@dataclass(frozen=True, slots=True)
class LaneTable:
    """Immutable columns of all lanes; every array has shape (n_lanes,) unless its entry says otherwise.

    A change of lanes, prices or the bundle replaces the whole table.

    Args:
        lanes: Lanes in the order of the rows.
        lane_ids: Ids of the lanes.
        index_of: Lane id -> row.
        names: Every name a caller may use (`vendor/model`, `provider:vendor/model`, lane id, bare model name) -> rows.
            The names of a lane with an effort end in `:effort`, so a plain name never means it. `find` knows other
            spellings of models too.
        rates: Prices of tokens, for each range of prompt lengths in which no lane changes its tier, short prompts
            first.
        tier_tokens: Prompt lengths above which the next of `rates` holds, ascending; one fewer than `rates`.
        rates_of_tiers: Service tier that some lane has a price for -> `rates` in it; other lanes have their standard
            rates there.
        trained_index: Row of the lane's model in a `Prediction`, or -1 where its quality is a prior.
        has_any_prior: Whether any lane's quality is a prior.
        ability, ability_std: Prior on the logit scale; it has a meaning where `trained_index` is -1.
        placed_rows: Rows of the lanes with a placement, shape (p,); their quality follows from the trained models'
            logits.
        placed_weights, placed_offset: Placements of these rows, shapes (p, n_trained) and (p,); see `router.placement`.
        log_tokens_offset, log_tokens_slope: Line from the log of the typical length to that of the lane; 0 and 1
            without a placement.
        prior_steepness: 1 / sqrt(1 + pi/8 ability_std^2), the factor that averages a prior over its uncertainty (MacKay
            1992).
        least_context_tokens, least_max_output_tokens: Smallest values of all lanes; a request within them excludes no
            lane.
        is_reserve: Whether a lane is asked only when no other can answer; None: no lane is a reserve.
        efforts: Efforts of the lanes; None: no lane sets one.
        rows: Beliefs of the bundle's catalogue models for these lanes; None: the bundle has no catalogue models.
    """

    lanes: tuple[Lane, ...]
    lane_ids: tuple[str, ...]
    index_of: Mapping[str, int]
    names: Mapping[str, tuple[int, ...]]
    rates: tuple[LaneRates, ...]
    tier_tokens: tuple[int, ...]
    rates_of_tiers: Mapping[str, tuple[LaneRates, ...]]
    request_usd: Floats
    capabilities: Ints
    context_tokens: Ints
    max_output_tokens: Ints
    trained_index: Rows
    has_prior_only: Mask
    has_any_prior: bool
    ability: Floats
    ability_std: Floats
    placed_rows: Rows
    placed_weights: Floats
    placed_offset: Floats
    log_tokens_offset: Floats
    log_tokens_slope: Floats
    prior_steepness: Floats
    typical_ttft_ms: Floats
    typical_ms_per_token: Floats
    least_context_tokens: int
    least_max_output_tokens: int
    is_reserve: Mask | None = None
    efforts: EffortColumns | None = None
    rows: LaneRows | None = None

    @classmethod
    def build(
        cls, lanes: Sequence[Lane], trained_names: Sequence[str], catalogue: CatalogueModels | None = None
    ) -> "LaneTable":
        """Build the table of `lanes` for the models that the loaded bundle knows.

        Args:
            lanes: Lanes in the order of the rows.
            trained_names: Models that the bundle's graph predicts.
            catalogue: Catalogue models of the bundle; None: it has none.

        Raises:
            ValueError: Two lanes share an id.
        """
        index_of = {lane.lane_id: row for row, lane in enumerate(lanes)}
        if len(index_of) != len(lanes):
            raise ValueError("lane ids must be unique")
        place_of = TrainedPlaces(trained_names)
        trained_index = np.array([place_of(lane) for lane in lanes], dtype=np.intp)
        of_tiers: dict[str, dict[int, Price]] = defaultdict(dict)
        for row, lane in enumerate(lanes):
            for name, price in lane.price.service_tiers:
                of_tiers[name][row] = price
        prices = [lane.price for lane in lanes]
        prices += [price for by_row in of_tiers.values() for price in by_row.values()]
        tier_tokens = sorted({tier.above_prompt_tokens for price in prices for tier in price.tiers})
        starts = [tokens + 1 for tokens in (-1, *tier_tokens)]
        rates = tuple(LaneRates.of([lane.price for lane in lanes], tokens) for tokens in starts)

        def floats(values: Sequence[float]) -> Floats:
            return np.array(values, dtype=np.float64)

        def integers(values: Sequence[int]) -> Ints:
            return np.array(values, dtype=np.int64)

        placements = _placements(lanes, trained_index)
        ability_std = floats([lane.prior.ability_std if lane.prior else UNKNOWN_ABILITY_STD for lane in lanes])
        log_tokens = np.tile([0.0, 1.0], (len(lanes), 1))
        for row, placement in placements.items():
            ability_std[row] = placement.logit_std
            log_tokens[row] = placement.log_tokens_offset, placement.log_tokens_slope
        context_tokens = integers([lane.context_tokens or ASSUMED_CONTEXT_TOKENS for lane in lanes])
        max_output_tokens = integers([lane.max_output_tokens or _NO_LIMIT for lane in lanes])
        return cls(
            lanes=tuple(lanes),
            lane_ids=tuple(index_of),
            index_of=MappingProxyType(index_of),
            names=_index_names(lanes),
            rates=rates,
            tier_tokens=tuple(tier_tokens),
            rates_of_tiers={name: _in_service_tier(rates, by_row, starts) for name, by_row in of_tiers.items()},
            request_usd=floats([float(lane.price.request_usd) for lane in lanes]),
            capabilities=integers([int(lane.capabilities) for lane in lanes]),
            context_tokens=context_tokens,
            max_output_tokens=max_output_tokens,
            trained_index=trained_index,
            has_prior_only=trained_index < 0,
            has_any_prior=bool((trained_index < 0).any()),
            ability=floats([lane.prior.ability if lane.prior else UNKNOWN_ABILITY for lane in lanes]),
            ability_std=ability_std,
            placed_rows=np.array(list(placements), dtype=np.intp),
            placed_weights=np.array([placement.weights for placement in placements.values()], np.float64).reshape(
                len(placements), len(trained_names)
            ),
            placed_offset=floats([placement.offset for placement in placements.values()]),
            log_tokens_offset=log_tokens[:, 0],
            log_tokens_slope=log_tokens[:, 1],
            prior_steepness=1 / np.sqrt(1 + np.pi / 8 * ability_std**2),
            typical_ttft_ms=floats([_or_assumed(lane.typical_ttft_ms, ASSUMED_TTFT_MS) for lane in lanes]),
            typical_ms_per_token=floats(
                [1_000 / _or_assumed(lane.typical_tokens_per_s, ASSUMED_TOKENS_PER_S) for lane in lanes]
            ),
            least_context_tokens=int(context_tokens.min(initial=_NO_LIMIT)),
            least_max_output_tokens=int(max_output_tokens.min(initial=_NO_LIMIT)),
            is_reserve=np.array([lane.is_reserve for lane in lanes])
            if any(lane.is_reserve for lane in lanes)
            else None,
            efforts=EffortColumns.of(lanes, trained_names if catalogue is None else (*trained_names, *catalogue.names)),
            rows=None if catalogue is None else LaneRows.build(lanes, trained_index, catalogue),
        )

    def __len__(self) -> int:
        return len(self.lanes)

    @property
    def is_in_bundle(self) -> Mask:
        """Whether the bundle has a belief about the lane's own model: a reference model or a catalogue model."""
        return ~self.has_prior_only if self.rows is None else ~self.has_prior_only | self.rows.is_listed

    def rates_for(self, prompt_tokens: int, service_tier: str | None = None) -> LaneRates:
        """Return the rates that a prompt of this length is billed at, in a service tier or in the standard one."""
        rates = self.rates if service_tier is None else self.rates_of_tiers.get(service_tier, self.rates)
        return rates[bisect_left(self.tier_tokens, prompt_tokens)]

    def quality_basis(self, row: int) -> QualityBasis:
        """Return what a lane's quality rests on; `router.quality_basis` explains it."""
        if self.rows is not None:
            return self.rows.basis[row]
        if not self.has_prior_only[row]:
            return "trained"
        return "calibrated" if row in self.placed_rows else "prior"

    def n_evidence(self, row: int) -> int:
        """Return the number of graded answers or published scores behind a lane's quality; 0: it is not counted."""
        if self.rows is not None:
            return self.rows.n_evidence[row]
        prior = self.lanes[row].prior
        return 0 if prior is None or prior.placement is None else prior.placement.n_answers

    def describe_basis(self, row: int) -> str:
        """Return what a lane's quality rests on in words: how many answers or scores, and how old they are."""
        prior, basis = self.lanes[row].prior, self.quality_basis(row)
        is_placed = basis == "calibrated" and prior is not None and prior.placement is not None
        day = prior.placement.graded_on if is_placed and prior is not None and prior.placement is not None else None
        return describe_basis(basis, self.n_evidence(row), day)

    def find(self, name: str) -> tuple[int, ...]:
        """Return the rows of the lanes with this name, never a prefix of it; empty when there are none.

        A name that no lane has as it is written counts as the model that it names, for instance with a date:
        `claude-sonnet-4-5-20250929`, `groq:Llama-3.3-70B-Instruct`, `claude-sonnet-4-5-20250929:high`.
        """
        stem, effort = split_effort(name)
        rows = self.names.get(name)
        if rows is not None or has_variant(stem):  # a variant is another offer: `:free` must never become a paid one
            return rows or ()
        provider, colon, model_id = stem.partition(":")
        if colon:
            return self.names.get(name_at(f"{provider}:{model_name(model_id, provider)}", effort), ())
        return self.names.get(name_at(model_name(stem), effort), ()) or self._on_account(stem, effort)

    def _on_account(self, stem: str, effort: str | None) -> tuple[int, ...]:
        """Return the rows of `account/model id`, where the id is another spelling of a lane's model."""
        account, _, model_id = stem.partition("/")
        rows = self.names.get(name_at(model_name(model_id, account.partition("@")[0]), effort), ())
        return tuple(row for row in rows if self.lanes[row].base_id == f"{account}/{self.lanes[row].upstream_model}")

    def close_names(self, name: str) -> tuple[str, ...]:
        """Return up to three models with a name like this one, the closest first: for a caller who misspelt it.

        It takes a few milliseconds for 1,000 lanes.
        """
        first, colon, rest = name[:_LONGEST_NAME].partition(":")
        at_provider = bool(colon) and any(lane.provider == first for lane in self.lanes)
        wanted = model_name(rest if at_provider else name[:_LONGEST_NAME]).rpartition("/")[2]
        names = {
            lane.vendor_model.rpartition("/")[2]: lane.vendor_model
            for lane in self.lanes
            if not lane.is_alternate and (not at_provider or lane.provider == first)
        }
        return tuple(names[close] for close in get_close_matches(wanted, names, _CLOSE_NAMES))

    def choosable(self) -> Mask:
        """Return which lanes a policy may choose when the caller names none, shape (n_lanes,).

        A model that the bundle knows at one effort of reasoning is known at all of them.
        """
        is_graded = self.is_in_bundle.copy()
        is_graded[self.placed_rows] = True
        graded = {self.lanes[row].base_id for row in np.flatnonzero(is_graded)}
        return np.array(
            [lane.choice == "always" or (lane.choice == "if_known" and lane.base_id in graded) for lane in self.lanes],
            dtype=np.bool_,
        )

    def first(
        self, n_lanes: int, trained_names: Sequence[str], catalogue: CatalogueModels | None = None
    ) -> "LaneTable":
        """Return the table of the first lanes, for the same bundle. Their rows keep their numbers."""
        return self if n_lanes == len(self) else LaneTable.build(self.lanes[:n_lanes], trained_names, catalogue)


def _in_service_tier(
    rates: Sequence[LaneRates], price_of_row: Mapping[int, Price], starts: Sequence[int]
) -> tuple[LaneRates, ...]:
    """Return the rates with those of the lanes that have a price for the service tier replaced."""
    rows, prices = np.array(list(price_of_row), np.intp), list(price_of_row.values())
    return tuple(
        standard.replaced(rows, LaneRates.of(prices, tokens)) for standard, tokens in zip(rates, starts, strict=True)
    )


def _or_assumed(value: float | None, assumed: float) -> float:
    return assumed if value is None else value


def _index_names(lanes: Sequence[Lane]) -> Mapping[str, tuple[int, ...]]:
    rows: dict[str, list[int]] = defaultdict(list)
    shared: set[str] = set()
    for row, lane in enumerate(lanes):
        tail = lane.upstream_model.rpartition("/")[2]  # Fireworks: accounts/fireworks/models/glm-5p3
        ids = (
            lane.base_id,
            f"{lane.provider}:{tail}",
            f"{lane.provider}/{tail}",
            lane.upstream_model,
            f"{lane.provider}:{lane.upstream_model}",
            f"{lane.provider}/{lane.upstream_model}",
        )
        names = (lane.vendor_model, lane.vendor_model.rpartition("/")[2], f"{lane.provider}:{lane.vendor_model}")
        shared.update(() if lane.is_alternate else (name_at(name, lane.effort) for name in names))
        for name in dict.fromkeys(ids if lane.is_alternate else (*ids, *names)):
            rows[name_at(name, lane.effort)].append(row)
    for name in shared:  # a retired offer answers to a model's name only if there is no other
        rows[name] = [row for row in rows[name] if lanes[row].choice != "never"] or rows[name]
    return MappingProxyType({name: tuple(places) for name, places in rows.items()})


def _placements(lanes: Sequence[Lane], trained_index: Rows) -> dict[int, Placement]:
    """Return row -> placement of the calibrated lanes that the bundle was not trained on."""
    return {
        row: lane.prior.placement
        for row, lane in enumerate(lanes)
        if trained_index[row] < 0 and lane.prior is not None and lane.prior.placement is not None
    }
