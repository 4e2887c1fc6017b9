"""The followers of one worker, as the settings have them: of stored keys and accounts, of bundles, and of prices."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from serve.background.supervisor import BackgroundPart
from serve.bundles.gate_keeper import GateKeeper
from serve.clock import Clock
from serve.hot_swap.bundle_follower import BundleFollower
from serve.hot_swap.bundle_switch import BundleSwitch
from serve.hot_swap.configured_lanes import ConfiguredLanes
from serve.hot_swap.identity_follower import IdentityFollower
from serve.hot_swap.price_follower import PriceFollower, price_alarms
from serve.metrics import Metrics
from serve.prices.models_in_use import ModelsInUse
from serve.prices.refresh import PriceRefresh
from serve.prices.sources import AllowedSources
from serve.prices.store import PriceStore
from serve.routing.configured_routing import ConfiguredRouting
from serve.settings import Settings


@dataclass(frozen=True, slots=True)
class Followers:
    """The followers, in step with what is stored.

    Args:
        identity: Follower of stored keys and accounts.
        bundles: Follower of the history of bundles.
        prices: Follower of the prices.
        parts: Background work of all.
    """

    identity: IdentityFollower
    bundles: BundleFollower
    prices: PriceFollower
    parts: tuple[BackgroundPart, ...]


def configured_followers(
    settings: Settings,
    environment: Mapping[str, str],
    engine: Engine,
    lanes: ConfiguredLanes,
    routing: ConfiguredRouting,
    clock: Clock,
    metrics: Metrics,
) -> Followers:
    """Use the stored keys of every account and the bundles on trial, and return what follows them from now on. Blocks.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; provider keys for lists of prices are looked up there.
        engine: The database; alarms about prices are stored there.
        lanes: Lanes at the start.
        routing: Routing on these lanes.
        clock: Time.
        metrics: Counters; the bundles in use are shown there.
    """
    identity = IdentityFollower(
        lanes.stores, lanes.key_ring, lanes.assembler, lanes.consent, lanes.first, routing.policy.use
    )
    identity.begin()
    keeper = lanes.bundle_keeper
    switch = BundleSwitch(lanes.assembler, routing.answers, routing.vectors, routing.make_shadow)
    gate_keeper = GateKeeper(keeper) if settings.promotion == "gated" else None
    bundles = BundleFollower(
        keeper.history, lanes.loader, switch, lanes.champion, lanes.calibrations, identity.lanes_lock, gate_keeper
    )
    bundles.begin()
    metrics.registry.register(bundles)
    store = PriceStore.of_settings(settings, environment)
    sources = AllowedSources(settings, environment, lambda: identity.operators_keys)
    patterns = [pattern for key in settings.virtual_keys for pattern in key.lanes]
    in_use = ModelsInUse(engine, lambda: patterns)
    prices = PriceFollower(
        store,
        PriceRefresh(store, sources, settings.prices.every_hours * 3_600, in_use),
        lanes.assembler,
        identity,
        price_alarms(engine, metrics, has_alerts=settings.alerts is not None),
        clock,
        has_sources=bool(settings.prices.sources or settings.prices.file),
    )
    parts = (
        BackgroundPart("identity", run=identity.follow),
        BackgroundPart("bundles", run=bundles.follow),
        BackgroundPart("prices", run=prices.follow),
        BackgroundPart("shadow", run=switch.follow_shadow, close=switch.close),
    )
    return Followers(identity, bundles, prices, parts)
