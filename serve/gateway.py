"""Everything a running gateway holds, made in `create_app` and closed with it; endpoints take it from the application."""

from dataclasses import dataclass

from fastapi import FastAPI
from sqlalchemy import Engine

from serve.alerts.budget_alerts import BudgetAlerts
from serve.bundles.bundle_desk import BundleDesk
from serve.bundles.bundle_keeper import BundleKeeper
from serve.clock import Clock
from serve.hot_swap.bundle_follower import BundleFollower
from serve.hot_swap.desks import Desks
from serve.hot_swap.identity_follower import IdentityFollower
from serve.hot_swap.identity_stores import IdentityStores
from serve.idempotency.answer_keeper import AnswerKeeper
from serve.identity.virtual_keys import KeyRing
from serve.lanes.directory import LaneDirectory
from serve.lanes.fresh_signers import FreshSigners
from serve.metrics import Metrics
from serve.money.budget_keeper import BudgetKeeper
from serve.outcome_checks.checker import OutcomeChecker
from serve.rate_limits.counters import Counter
from serve.routing.chosen_policy import RunningPolicy
from serve.routing.exploration.explorer import Explorer
from serve.routing.service import RoutingService
from serve.routing.shadow_repository import ShadowRepository
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.erasure import TelemetryErasure
from serve.telemetry.lane_log import LaneLog
from serve.telemetry.writer import TelemetryWriter
from serve.upstream.transport import UpstreamTransport
from serve.watch.follower import WatchFollower


@dataclass(frozen=True, slots=True)
class ResourceSet:
    """The parts of one gateway.

    Args:
        clock: Time.
        key_ring: Virtual keys.
        routing: The decision and the lanes.
        vectors: The same for embeddings.
        metrics: Counters.
        engine: The database.
        attempts: Stored attempts.
        telemetry: The writer.
        checker: Of answers; None: they are not checked.
        budgets: The keeper of the budgets.
        transports: To be closed at the end.
        notices: What the operator should know: providers without a key, the sandbox, lanes left out.
        signers: Credentials that expire.
        empty_directory: The lanes of an account that has none.
        counter: Of requests and tokens a minute.
        identity: Accounts, people and keys that are stored.
        desks: Desks where accounts, members, keys and budgets are changed.
        erasure: Deletes what was logged of an account.
        policy: Of smart-route, as it is now.
        follower: Brings stored keys to life.
        bundles: Puts bundles in place.
        bundle_keeper: Changes which ones.
        bundle_desk: Desk where people change which ones.
        shadow_decisions: What shadows would have done.
        alerts: Tells of budgets; None: nobody is to be told.
        answers: Kept under idempotency keys.
        lane_log: Writes down lanes and prices.
        watch: Learns of lanes and looks for drift.
        explorer: Tries lanes that are not the best; None: nobody does.
    """

    clock: Clock
    key_ring: KeyRing
    routing: RoutingService
    vectors: RoutingService
    metrics: Metrics
    engine: Engine
    attempts: AttemptRepository
    telemetry: TelemetryWriter
    checker: OutcomeChecker | None
    budgets: BudgetKeeper
    transports: tuple[UpstreamTransport, ...]
    notices: tuple[str, ...]
    signers: FreshSigners
    empty_directory: LaneDirectory
    counter: Counter
    identity: IdentityStores
    desks: Desks
    erasure: TelemetryErasure
    policy: RunningPolicy
    follower: IdentityFollower
    bundles: BundleFollower
    bundle_keeper: BundleKeeper
    bundle_desk: BundleDesk
    shadow_decisions: ShadowRepository
    alerts: BudgetAlerts | None
    answers: AnswerKeeper
    lane_log: LaneLog
    watch: WatchFollower
    explorer: Explorer | None

    @property
    def directory(self) -> LaneDirectory:
        """The lanes of this moment."""
        return self.routing.directory


def resources_of(app: FastAPI) -> ResourceSet:
    """Return the parts of a running application."""
    resources: ResourceSet = app.state.resources
    return resources
