"""Wires a gateway: the only place where parts are made and handed to each other. Importing this does nothing."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from anyio import from_thread
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from router.features import FEATURES_VERSION
from serve.alerts.budget_alerts import BudgetAlerts
from serve.alerts.configured_alerts import webhook_target
from serve.alerts.outbox import AlertRepository
from serve.bundles.bundle_desk import BundleDesk
from serve.bundles.bundle_keeper import BundleKeeper
from serve.bundles.gate_keeper import GateKeeper
from serve.bundles.history import BundleHistory
from serve.bundles.store import open_store
from serve.clock import Clock, SystemClock
from serve.dashboard.install import install_dashboard
from serve.gateway import ResourceSet
from serve.hot_swap.bundle_follower import BundleFollower
from serve.hot_swap.bundle_loader import BundleLoader
from serve.hot_swap.bundle_metrics import BundleMetrics
from serve.hot_swap.desks import open_desks
from serve.hot_swap.identity_follower import IdentityFollower
from serve.hot_swap.identity_stores import open_identity
from serve.http import feedback, health, models
from serve.http.admin import routes as admin
from serve.http.admission import Admission
from serve.http.answering import Answering
from serve.http.count_tokens import CountTokens
from serve.http.doors import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Door
from serve.http.exception_handlers import install_exception_handlers
from serve.http.hot_paths import GatewayApp, HotEndpoint
from serve.http.idempotency import Idempotent
from serve.http.openapi import describe_endpoints
from serve.http.route import Route
from serve.idempotency.answer_keeper import AnswerKeeper
from serve.idempotency.repository import IdempotencyRepository
from serve.identity.configured_keys import configured_keys
from serve.identity.content_consent import ContentConsent
from serve.identity.virtual_keys import KeyRing
from serve.lanes.assembler import LaneAssembler
from serve.lanes.fresh_signers import FreshSigners
from serve.lanes.metrics import LaneMetrics
from serve.metrics import Metrics
from serve.money.budget_keeper import BudgetKeeper
from serve.money.budget_repository import BudgetRepository
from serve.money.configured_budgets import configured_budgets
from serve.money.spending import Spending
from serve.outcome_checks.checker import OutcomeChecker
from serve.proxy.attempt_series import ProxyLimits
from serve.proxy.chat_proxy import ChatProxy
from serve.rate_limits.counters import LocalCounter, SharedCounter
from serve.rate_limits.key_limits import KeyLimits
from serve.routing.chosen_policy import RunningPolicy, default_policy
from serve.routing.exploration.configured_exploration import configured_explorer
from serve.routing.service import RoutingService
from serve.routing.shadow import Shadow
from serve.routing.shadow_repository import ShadowRepository
from serve.routing.vectors import vector_routing
from serve.settings import Settings
from serve.storage.database import open_database
from serve.storage.database_choice import database_url, journal_folder
from serve.telemetry.attempt_recorder import AttemptRecorder
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.erasure import TelemetryErasure
from serve.telemetry.lane_log import LaneLog
from serve.telemetry.priced_lane_repository import PricedLaneRepository
from serve.telemetry.writer import TelemetryWriter
from serve.upstream.http_transport import HttpTransport
from serve.watch.account_watch import AccountWatch, account_corrections_folder
from serve.watch.configured_watch import configured_watch


def create_app(
    settings: Settings, environment: Mapping[str, str], clock: Clock | None = None, *, is_prepared: bool = False
) -> FastAPI:
    """Return a gateway that is ready to be served.

    Everything an operator can get wrong is checked here, not at the first request.

    Args:
        settings: See `serve.settings.load_settings`.
        environment: Where provider keys are looked up, as in `os.environ`.
        clock: Time; None: the machine's.
        is_prepared: `prepare_database` was called, once for several workers.

    Raises:
        ConfigurationError: Settings, catalogue, virtual keys or database are wrong.
        router.errors.BundleError: The quality model cannot be used.
    """
    clock = clock or SystemClock()
    bundle_store = open_store(settings, environment)
    engine = open_database(database_url(settings.database, environment))
    stores = open_identity(settings, environment, engine, clock)
    key_ring = KeyRing(configured_keys(settings), clock.now)
    metrics = Metrics()
    keeper_of_bundles = BundleKeeper(bundle_store, BundleHistory(stores.audit))
    loader = BundleLoader(bundle_store, metrics.note_bundle_refused)
    champion = loader.first_champion(keeper_of_bundles.staging())
    assembler = LaneAssembler(settings, environment, champion.generation, clock)
    consent = ContentConsent(settings.telemetry_content)
    follower = IdentityFollower(stores, key_ring, assembler, consent)
    assembly, lanes, vector_lanes = follower.begin()
    telemetry = TelemetryWriter(engine, monotonic=clock.monotonic)
    budgets = BudgetRepository(engine)
    if not is_prepared:
        budgets.follow_settings(configured_budgets(settings))
    keeper = BudgetKeeper(budgets, journal_folder(settings.database, environment), clock)
    spending = Spending(keeper, settings.hold_output_tokens)
    rng = np.random.default_rng(settings.seed)
    explorer = configured_explorer(settings, engine, metrics, clock)
    routing = RoutingService(lanes, default_policy(settings), rng, spending, explorer)
    policy = RunningPolicy(settings, environment, routing)
    policy.use(stores.policy.read())
    follower.use_policy = policy.use
    checker = OutcomeChecker(telemetry, clock, settings.outcome_checks_per_s) if settings.outcome_checks_per_s else None
    recorder = AttemptRecorder(telemetry, metrics, clock, consent, FEATURES_VERSION, checker)
    limits = ProxyLimits(
        max_attempts=settings.max_attempts,
        first_token_patience_s=None if settings.slow_start == "wait" else settings.slow_start_after_s,
        is_racing=settings.slow_start == "race",
    )
    jitter = random.Random(settings.seed)  # noqa: S311 - jitter, not a secret
    keeps_streams = checker is not None or settings.telemetry_content == "full"
    proxy = ChatProxy(clock, recorder, limits, jitter, keeps_streams=keeps_streams)
    counter = SharedCounter(settings.shared_state, clock.monotonic) if settings.shared_state else LocalCounter()
    metrics.shared_state.set_function(lambda: 0.0 if isinstance(counter, SharedCounter) and counter.is_away else 1.0)
    key_limits = KeyLimits(counter)
    admission = Admission(key_ring, routing, clock, spending, key_limits, settings.max_body_bytes)
    vectors = vector_routing(vector_lanes, np.random.default_rng(settings.seed), spending)
    vector_admission = Admission(key_ring, vectors, clock, spending, key_limits, settings.max_body_bytes)
    metrics.registry.register(LaneMetrics((lanes, vector_lanes)))
    shadow_repository = ShadowRepository(engine)
    make_shadow = partial(
        Shadow, repository=shadow_repository, now=clock.now, on_outcome=metrics.note_shadow, seed=settings.seed
    )
    gate_keeper = GateKeeper(keeper_of_bundles) if settings.promotion == "gated" else None
    bundles = BundleFollower(
        keeper_of_bundles, loader, follower, assembler, routing, vectors, champion, gate_keeper, make_shadow
    )
    bundles.begin()
    metrics.registry.register(BundleMetrics(bundles))
    answers = AnswerKeeper(IdempotencyRepository(engine), stores.vault, clock, metrics)
    lane_log = LaneLog(
        PricedLaneRepository(engine), lambda: (*lanes.by_account().values(), *vector_lanes.by_account().values()), clock
    )
    corrections = account_corrections_folder(settings.account_corrections, environment)

    def bundle_folders() -> Iterable[Path]:
        return bundle_store.folders().values()

    accounts = AccountWatch(corrections, bundle_folders)
    has_alerts = settings.alerts is not None
    watch = configured_watch(
        settings.watch, engine, lanes, bundles, clock, metrics, accounts, bundle_folders, has_alerts=has_alerts
    )
    resources = ResourceSet(
        clock=clock,
        key_ring=key_ring,
        routing=routing,
        vectors=vectors,
        metrics=metrics,
        engine=engine,
        attempts=AttemptRepository(engine),
        telemetry=telemetry,
        checker=checker,
        budgets=keeper,
        transports=assembler.transports,
        notices=(*loader.notices(), *assembly.notices),
        empty_directory=assembler.nothing(),
        counter=counter,
        identity=stores,
        desks=open_desks(stores, budgets, lambda: from_thread.run(follower.refresh)),
        erasure=TelemetryErasure(engine, stores.audit, lambda: from_thread.run(telemetry.flush)),
        follower=follower,
        policy=policy,
        bundles=bundles,
        bundle_keeper=keeper_of_bundles,
        bundle_desk=BundleDesk(keeper_of_bundles, lambda: from_thread.run(bundles.refresh)),
        shadow_decisions=shadow_repository,
        signers=FreshSigners((lanes, vector_lanes)),
        alerts=_budget_alerts(settings, environment, engine, keeper, metrics, clock),
        answers=answers,
        lane_log=lane_log,
        watch=watch,
        explorer=explorer,
    )
    app = GatewayApp(
        title="llmdeal", version=version("llmdeal"), lifespan=_lifespan, summary="A smart-routing LLM gateway."
    )
    app.state.resources = resources
    for module in (models, feedback, health, admin):
        app.include_router(module.routes)
    install_exception_handlers(app, metrics)
    install_dashboard(app, resources, settings)
    describe_endpoints(app, needs_virtual_key=key_ring.is_closed)

    def answering(door: Door, admission: Admission) -> HotEndpoint:
        endpoint = Answering(door, admission, proxy, clock)
        return Idempotent(endpoint, key_ring, answers, settings.max_body_bytes, settings.idempotency_max_bytes)

    endpoints: dict[str, HotEndpoint] = {
        "/v1/chat/completions": answering(CHAT, admission),
        "/v1/responses": answering(RESPONSES, admission),
        "/v1/messages": answering(MESSAGES, admission),
        "/v1/messages/count_tokens": CountTokens(admission),
        "/v1/embeddings": answering(EMBEDDINGS, vector_admission),
        "/v1/route": Route(admission),
    }
    app.mount_hot(endpoints, metrics)
    return app


def prepare_database(settings: Settings, environment: Mapping[str, str]) -> None:
    """Bring the database to this version and let its budgets follow the settings: once, before several workers share it.

    A worker that is started anew must not undo what was set on the command line since.

    Raises:
        ConfigurationError: The database cannot be used, or the settings are wrong.
    """
    engine = open_database(database_url(settings.database, environment))
    try:
        BudgetRepository(engine).follow_settings(configured_budgets(settings))
    finally:
        engine.dispose()


def _budget_alerts(
    settings: Settings,
    environment: Mapping[str, str],
    engine: Engine,
    keeper: BudgetKeeper,
    metrics: Metrics,
    clock: Clock,
) -> BudgetAlerts | None:
    if settings.alerts is None:
        return None
    target = webhook_target(settings.alerts, environment)
    repository, thresholds = AlertRepository(engine), settings.alerts.thresholds
    return BudgetAlerts(repository, keeper.take_refused, target, thresholds, clock, HttpTransport(), metrics)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    resources: ResourceSet = app.state.resources
    async with AsyncExitStack() as closing:  # whatever fails on the way down, the rest is still closed
        closing.callback(resources.engine.dispose)
        for transport in resources.transports:
            closing.push_async_callback(transport.close)
        closing.push_async_callback(resources.counter.close)
        if resources.alerts is not None:
            closing.push_async_callback(resources.alerts.close)
        try:
            await resources.budgets.start()
        except (DBAPIError, OSError) as error:
            app.state.start_failure = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            raise
        closing.push_async_callback(resources.budgets.close)
        resources.telemetry.start()
        closing.push_async_callback(resources.telemetry.close)
        closing.push_async_callback(resources.bundles.close)
        if resources.checker is not None:
            resources.checker.start()
            closing.push_async_callback(resources.checker.close)
        running = [asyncio.create_task(resources.signers.follow())]
        running.append(asyncio.create_task(resources.follower.follow()))
        if resources.explorer is not None:
            await resources.explorer.purse.look()
            closing.push_async_callback(resources.explorer.purse.close)
            running.append(asyncio.create_task(resources.explorer.purse.follow()))
        running.append(asyncio.create_task(resources.bundles.follow()))
        running.append(asyncio.create_task(resources.answers.follow()))
        running.append(asyncio.create_task(resources.lane_log.follow()))
        running.append(asyncio.create_task(resources.watch.follow()))
        if resources.alerts is not None:
            running.append(asyncio.create_task(resources.alerts.follow()))
        closing.push_async_callback(_cancelled, running)
        yield


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
