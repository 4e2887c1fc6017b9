"""What the endpoints of a running gateway work with; made by `create_app`, taken from the application."""

from dataclasses import dataclass

from fastapi import FastAPI
from sqlalchemy import Engine

from serve.background.supervisor import Supervisor
from serve.bundles.bundle_desk import BundleDesk
from serve.bundles.bundle_keeper import BundleKeeper
from serve.clock import Clock
from serve.hot_swap.bundle_follower import BundleFollower
from serve.hot_swap.desks import Desks
from serve.hot_swap.identity_follower import IdentityFollower
from serve.hot_swap.identity_stores import IdentityStores
from serve.hot_swap.price_follower import PriceFollower
from serve.identity.virtual_keys import KeyRing
from serve.lanes.directory import LaneDirectory
from serve.lanes.refused_keys import RefusedKeys
from serve.metrics import Metrics
from serve.money.budget_keeper import BudgetKeeper
from serve.routing.chosen_policy import RunningPolicy
from serve.routing.exploration.explorer import Explorer
from serve.routing.service import RoutingService
from serve.routing.shadow_repository import ShadowRepository
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.erasure import TelemetryErasure
from serve.telemetry.writer import TelemetryWriter


@dataclass(frozen=True, slots=True)
class ResourceSet:
    """The parts of one gateway that endpoints use. What only works in the background is in `supervisor.parts`.

    Args:
        clock: Time.
        metrics: Counters.
        engine: The database.
        identity: Stored accounts, people and keys.
        key_ring: Virtual keys that the gateway accepts.
        follower: Follower of stored keys and accounts.
        routing: Routing of answers, and the lanes for it.
        vectors: Routing of embeddings, and the lanes for it.
        policy: Policy of smart-route, as it is now.
        explorer: Chooser of lanes to learn about; None: nothing is explored.
        empty_directory: Lanes of an account that has none.
        bundles: Bundles in use.
        prices: Prices in use, and tables that wait for confirmation.
        bundle_keeper: Bundles on disk, and the history of which are in use.
        bundle_desk: Desk where people change which bundles are in use.
        desks: Desks where accounts, members, keys and budgets are changed.
        erasure: Deletes what was logged of an account.
        shadow_decisions: Stored decisions of shadows.
        attempts: Stored attempts.
        telemetry: Writer of attempts and feedback.
        budgets: Keeper of the budgets.
        refused_keys: Provider keys that were refused lately.
        notices: Lines that the operator should read: providers without a key, the sandbox, lanes left out.
        supervisor: Supervisor of the background parts.
    """

    clock: Clock
    metrics: Metrics
    engine: Engine
    identity: IdentityStores
    key_ring: KeyRing
    follower: IdentityFollower
    routing: RoutingService
    vectors: RoutingService
    policy: RunningPolicy
    explorer: Explorer | None
    empty_directory: LaneDirectory
    bundles: BundleFollower
    prices: PriceFollower
    bundle_keeper: BundleKeeper
    bundle_desk: BundleDesk
    desks: Desks
    erasure: TelemetryErasure
    shadow_decisions: ShadowRepository
    attempts: AttemptRepository
    telemetry: TelemetryWriter
    budgets: BudgetKeeper
    refused_keys: RefusedKeys
    notices: tuple[str, ...]
    supervisor: Supervisor

    @property
    def directory(self) -> LaneDirectory:
        """The operator's lanes at this moment."""
        return self.routing.directory


def resources_of(app: FastAPI) -> ResourceSet:
    """Return the parts of an application."""
    resources: ResourceSet = app.state.resources
    return resources
