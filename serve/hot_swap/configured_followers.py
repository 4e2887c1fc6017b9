"""The followers of one worker, as the settings have them: of stored keys and accounts, and of bundles."""

from dataclasses import dataclass

from serve.background.supervisor import BackgroundPart
from serve.bundles.gate_keeper import GateKeeper
from serve.hot_swap.bundle_follower import BundleFollower
from serve.hot_swap.bundle_switch import BundleSwitch
from serve.hot_swap.configured_lanes import ConfiguredLanes
from serve.hot_swap.identity_follower import IdentityFollower
from serve.metrics import Metrics
from serve.routing.configured_routing import ConfiguredRouting
from serve.settings import Settings


@dataclass(frozen=True, slots=True)
class Followers:
    """The followers, in step with what is stored.

    Args:
        identity: Follower of stored keys and accounts.
        bundles: Follower of the history of bundles.
        parts: Background work of both.
    """

    identity: IdentityFollower
    bundles: BundleFollower
    parts: tuple[BackgroundPart, ...]


def configured_followers(
    settings: Settings, lanes: ConfiguredLanes, routing: ConfiguredRouting, metrics: Metrics
) -> Followers:
    """Use the stored keys of every account and the bundles on trial, and return what follows them from now on. Blocks.

    Args:
        settings: Settings of the gateway.
        lanes: Lanes at the start.
        routing: Routing on these lanes.
        metrics: Counters; the bundles in use are shown there.
    """
    identity = IdentityFollower(
        lanes.stores, lanes.key_ring, lanes.assembler, lanes.consent, lanes.first, routing.policy.use
    )
    identity.begin()
    keeper = lanes.bundle_keeper
    switch = BundleSwitch(lanes.assembler, routing.answers, routing.vectors, routing.make_shadow)
    gate_keeper = GateKeeper(keeper) if settings.promotion == "gated" else None
    bundles = BundleFollower(keeper.history, lanes.loader, switch, lanes.champion, identity.lanes_lock, gate_keeper)
    bundles.begin()
    metrics.registry.register(bundles)
    parts = (
        BackgroundPart("identity", run=identity.follow),
        BackgroundPart("bundles", run=bundles.follow),
        BackgroundPart("shadow", run=switch.follow_shadow, close=switch.close),
    )
    return Followers(identity, bundles, parts)
