"""Hypothesis generators shared by the property tests."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
from hypothesis import strategies as st

from router.context import Constraints, RouteContext
from router.effort import OTHER_EFFORT, name_at
from router.lane import EFFORTS, Capability, Lane, QualityPrior
from router.price_table import Price, PriceTier, TokenUsage
from router.quality_model import Prediction

TRAINED_NAMES = ("alpha", "beta", "gamma")

rates = st.decimals(min_value=Decimal(0), max_value=Decimal(1000), places=6, allow_nan=False, allow_infinity=False)
probabilities = st.floats(0, 1, width=32)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    return Price(
        draw(rates),
        draw(rates),
        "a test",
        date(2026, 11, 1),
        cached_input_usd_per_mtok=draw(st.none() | rates),
        cache_write_usd_per_mtok=draw(st.none() | rates),
        request_usd=draw(st.sampled_from([Decimal(0), Decimal("0.005")])),
    )


service_tiers = st.sampled_from(["batch", "flex", "priority"])


@st.composite
def tiered_prices(draw: st.DrawFn) -> Price:
    """Prices with tiers for long prompts, service tiers, searches, and a rate for cache writes kept for an hour."""
    thresholds = draw(st.lists(st.integers(0, 300_000), max_size=3, unique=True))
    tiers = tuple(
        PriceTier(
            tokens, draw(rates), draw(rates), draw(st.none() | rates), draw(st.none() | rates), draw(st.none() | rates)
        )
        for tokens in sorted(thresholds)
    )
    return replace(
        draw(prices()),
        tiers=tiers,
        cache_write_1h_factor=draw(st.none() | st.just(Decimal(2))),
        cache_write_1h_usd_per_mtok=draw(st.none() | rates),
        web_search_usd=draw(st.none() | st.just(Decimal("0.01"))),
        service_tiers=tuple((name, draw(prices())) for name in sorted(draw(st.sets(service_tiers)))),
    )


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    prompt = draw(st.integers(0, 2_000_000))
    cached = draw(st.integers(0, prompt))
    return TokenUsage(prompt, draw(st.integers(0, 200_000)), cached, draw(st.integers(0, prompt - cached)))


@st.composite
def lanes(draw: st.DrawFn, number: int) -> Lane:
    provider = draw(st.sampled_from(["north", "south", "east"]))
    trained_name = draw(st.none() | st.sampled_from(TRAINED_NAMES))
    return Lane(
        lane_id=f"{provider}/model-{number}",
        provider=provider,
        upstream_model=f"model-{number}",
        vendor_model=f"vendor/model-{number % 3}",
        account=provider,
        price=draw(prices()),
        capabilities=Capability(draw(st.integers(0, 255))),
        context_tokens=draw(st.none() | st.integers(1_000, 200_000)),
        max_output_tokens=draw(st.none() | st.integers(100, 100_000)),
        region=draw(st.sampled_from([None, "eu", "us", "global"])),
        trains_on_data=draw(st.sampled_from([None, True, False])),
        retains_data=draw(st.sampled_from([None, True, False])),
        trained_name=trained_name,
        prior=QualityPrior(draw(st.floats(-3, 3)), draw(st.floats(0.1, 2)), "a test") if trained_name is None else None,
    )


@st.composite
def lane_lists(draw: st.DrawFn, min_size: int = 1, max_size: int = 8) -> list[Lane]:
    size = draw(st.integers(min_size, max_size))
    return [draw(lanes(number)) for number in range(size)]


@st.composite
def lanes_at_efforts(draw: st.DrawFn) -> list[Lane]:
    """Lanes, each of them perhaps also at some efforts, whether the bundle knows them or not."""
    every = []
    for lane in draw(lane_lists(max_size=4)):
        every.append(lane)
        for effort in draw(st.lists(st.sampled_from(["none", "low", "high"]), unique=True)):
            further = replace(lane, lane_id=name_at(lane.lane_id, effort), effort=effort)
            trained_name = draw(st.sampled_from([*TRAINED_NAMES, "unknown"]))
            lost = Capability(draw(st.sampled_from([0, 1, 32])))
            every.append(replace(further, trained_name=trained_name, lost_by_effort=lost))
    return every


@st.composite
def predictions(draw: st.DrawFn) -> Prediction:
    n = len(TRAINED_NAMES)
    return Prediction(
        quality=np.array(draw(st.lists(probabilities, min_size=n, max_size=n)), dtype=np.float32),
        quality_std=np.full(n, 0.1, dtype=np.float32),
        completion_tokens=np.array(
            draw(st.lists(st.floats(1, 5_000, width=32), min_size=n, max_size=n)), dtype=np.float32
        ),
        difficulty=draw(st.floats(-4, 4)),
        typical_completion_tokens=draw(st.floats(1, 2_000)),
        features=np.zeros(2, dtype=np.float32),
    )


@st.composite
def contexts(draw: st.DrawFn) -> RouteContext:
    return RouteContext(
        text="a prompt",
        prompt_characters=8,
        prompt_tokens=draw(st.integers(1, 150_000)),
        n_turns=1,
        required=Capability(draw(st.sampled_from([0, 1, 2, 8, 9]))),
        max_output_tokens=draw(st.none() | st.integers(1, 60_000)),
        effort=draw(st.sampled_from([None, None, "high", "low", OTHER_EFFORT])),
    )


@st.composite
def constraints(draw: st.DrawFn, lane_ids: list[str]) -> Constraints:
    some_lanes = st.none() | st.frozensets(st.sampled_from(lane_ids))
    some_providers = st.frozensets(st.sampled_from(["north", "south", "east"]), max_size=2)
    return Constraints(
        pinned_lanes=draw(some_lanes),
        only_providers=draw(some_providers),
        ignored_providers=draw(some_providers),
        allowed_lanes=draw(some_lanes),
        region=draw(st.sampled_from([None, "eu", "us"])),
        denies_training=draw(st.booleans()),
        requires_zero_retention=draw(st.booleans()),
        max_input_usd_per_mtok=draw(st.none() | rates),
        max_output_usd_per_mtok=draw(st.none() | rates),
        max_cost_usd=draw(st.none() | st.floats(0, 10)),
        max_latency_ms=draw(st.none() | st.floats(0, 100_000)),
        efforts=draw(st.none() | st.frozensets(st.sampled_from(EFFORTS))),
    )
