"""Wires a gateway: the only place where parts are created and given to each other. Importing this does nothing."""

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import from_thread
from fastapi import FastAPI
from sqlalchemy import Engine

from serve.alerts.configured_alerts import configured_alerts
from serve.background.supervisor import BackgroundPart, Supervisor
from serve.bundles.bundle_desk import BundleDesk
from serve.bundles.store import open_store
from serve.clock import Clock, SystemClock
from serve.dashboard.install import install_dashboard
from serve.dialects.anthropic import NAME as ANTHROPIC
from serve.dialects.field_table import load_fields
from serve.dialects.responses import NAME as RESPONSES_DIALECT
from serve.gateway import ResourceSet, resources_of
from serve.hot_swap.configured_followers import Followers, configured_followers
from serve.hot_swap.configured_lanes import ConfiguredLanes, configured_lanes
from serve.hot_swap.desks import open_desks
from serve.hot_swap.unlisted_lanes import UnlistedLanes
from serve.http import feedback, health, models
from serve.http.admin import routes as admin
from serve.http.admission import Admission
from serve.http.answering import Answering
from serve.http.count_tokens import CountAnswer, CountTokens, InputTokensAnswer
from serve.http.doors import CHAT, COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, MESSAGES, RESPONSES, Door
from serve.http.exception_handlers import install_exception_handlers
from serve.http.hot_paths import GatewayApp, HotEndpoint
from serve.http.idempotency import Idempotent
from serve.http.openapi import describe_endpoints
from serve.http.route import Route
from serve.idempotency.answer_keeper import AnswerKeeper
from serve.idempotency.repository import IdempotencyRepository
from serve.metrics import Metrics
from serve.money.budget_repository import BudgetRepository
from serve.money.configured_budgets import configured_budgets
from serve.money.configured_money import ConfiguredMoney, configured_money
from serve.money.spending import Spending
from serve.packaged_files import data_dir
from serve.proxy.attempt_series import ProxyLimits
from serve.proxy.chat_proxy import ChatProxy
from serve.proxy.configured_refusals import ConfiguredRefusals, configured_refusals
from serve.proxy.refusal_judge import RefusalJudge
from serve.rate_limits.configured_limits import configured_limits
from serve.rate_limits.key_limits import KeyLimits
from serve.routing.configured_routing import ConfiguredRouting, configured_routing
from serve.settings import Settings
from serve.storage.database import open_database
from serve.storage.database_choice import database_url
from serve.telemetry.attempt_recorder import AttemptRecorder
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.configured_telemetry import ConfiguredTelemetry, configured_telemetry
from serve.telemetry.erasure import TelemetryErasure
from serve.watch.configured_watch import configured_watch


def create_app(
    settings: Settings, environment: Mapping[str, str], clock: Clock | None = None, *, is_prepared: bool = False
) -> FastAPI:
    """Return a gateway that is ready to be served. Mistakes of the operator raise here, not at the first request.

    Args:
        settings: Settings of the gateway; see `serve.settings.load_settings`.
        environment: Environment variables; hold provider keys.
        clock: Time; None: the clock of the machine.
        is_prepared: Whether `prepare_database` was called before, for several workers.

    Raises:
        ConfigurationError, BundleError: Settings, catalogue, keys, database or quality model cannot be used.
    """
    clock, metrics, store = clock or SystemClock(), Metrics(), open_store(settings, environment)
    refusals = configured_refusals(clock, metrics)
    engine = open_database(database_url(settings.database, environment))
    lanes = configured_lanes(settings, environment, engine, store, clock, metrics)
    money = configured_money(settings, environment, engine, clock, follows_settings=not is_prepared)
    routing = configured_routing(settings, environment, engine, lanes.directories, money.spending, clock, metrics)
    routing.answers.refused_parameters = refusals.parameters
    followers = configured_followers(settings, environment, engine, lanes, routing, clock, metrics)
    telemetry = configured_telemetry(settings, engine, lanes.directories, lanes.consent, clock, metrics)
    key_limits, limit_parts = configured_limits(settings, clock, metrics)
    answers = AnswerKeeper(IdempotencyRepository(engine), lanes.stores.vault, clock, metrics)
    parts = (
        BackgroundPart("database", close=engine.dispose),
        *lanes.parts,
        *limit_parts,
        *configured_alerts(settings, environment, engine, money.keeper, metrics, clock),
        *money.parts,
        *telemetry.parts,
        *followers.parts,
        *routing.parts,
        BackgroundPart("idempotency", run=answers.follow),
        *configured_watch(settings, environment, engine, lanes.first.answers, followers.bundles, store, clock, metrics),
    )
    supervisor = Supervisor(parts, metrics, clock)
    resources = _resources(clock, metrics, engine, lanes, money, routing, followers, telemetry, refusals, supervisor)
    server_ids = [server.id for server in settings.servers]
    lock = followers.identity.lanes_lock
    unlisted = UnlistedLanes(routing.answers.directories, lanes.assembler, lock, server_ids)
    proxy = _proxy(settings, telemetry.recorder, refusals.judge)
    endpoints = _hot_endpoints(settings, resources, money.spending, key_limits, answers, proxy, unlisted)
    return _application(settings, resources, endpoints)


def prepare_database(settings: Settings, environment: Mapping[str, str]) -> None:
    """Bring the database to this version and let its budgets follow the settings, before several workers share it.

    A worker that starts again later must not undo budgets that were set on the command line meanwhile.

    Raises:
        ConfigurationError: The database cannot be used, or the settings are wrong.
    """
    engine = open_database(database_url(settings.database, environment))
    try:
        BudgetRepository(engine).follow_settings(configured_budgets(settings))
    finally:
        engine.dispose()


def _resources(
    clock: Clock,
    metrics: Metrics,
    engine: Engine,
    lanes: ConfiguredLanes,
    money: ConfiguredMoney,
    routing: ConfiguredRouting,
    followers: Followers,
    telemetry: ConfiguredTelemetry,
    refusals: ConfiguredRefusals,
    supervisor: Supervisor,
) -> ResourceSet:
    return ResourceSet(
        clock=clock,
        metrics=metrics,
        engine=engine,
        identity=lanes.stores,
        key_ring=lanes.key_ring,
        follower=followers.identity,
        routing=routing.answers,
        vectors=routing.vectors,
        policy=routing.policy,
        explorer=routing.explorer,
        empty_directory=lanes.assembler.nothing(),
        bundles=followers.bundles,
        prices=followers.prices,
        bundle_keeper=lanes.bundle_keeper,
        bundle_desk=BundleDesk(lanes.bundle_keeper, lambda: from_thread.run(followers.bundles.refresh)),
        desks=open_desks(lanes.stores, BudgetRepository(engine), lambda: from_thread.run(followers.identity.refresh)),
        erasure=TelemetryErasure(engine, lanes.stores.audit, lambda: from_thread.run(telemetry.writer.flush)),
        shadow_decisions=routing.shadow_decisions,
        attempts=AttemptRepository(engine),
        telemetry=telemetry.writer,
        budgets=money.keeper,
        refused_keys=refusals.keys,
        notices=(*lanes.loader.notices(), *lanes.first.operators.notices),
        supervisor=supervisor,
    )


def _proxy(settings: Settings, recorder: AttemptRecorder, judge: RefusalJudge) -> ChatProxy:
    limits = ProxyLimits(
        max_attempts=settings.max_attempts,
        first_token_patience_s=None if settings.slow_start == "wait" else settings.slow_start_after_s,
        is_racing=settings.slow_start == "race",
    )
    jitter = random.Random(settings.seed)  # noqa: S311 - jitter, not a secret
    keeps_streams = recorder.checker is not None or settings.telemetry_content == "full"
    return ChatProxy(recorder.clock, recorder, limits, jitter, judge, keeps_streams=keeps_streams)


def _application(settings: Settings, resources: ResourceSet, endpoints: Mapping[str, HotEndpoint]) -> FastAPI:
    app = GatewayApp(
        title="llmdeal", version=version("llmdeal"), lifespan=_lifespan, summary="A smart-routing LLM gateway."
    )
    app.state.resources = resources
    for module in (models, feedback, health, admin):
        app.include_router(module.routes)
    install_exception_handlers(app, resources.metrics)
    install_dashboard(app, resources, settings)
    describe_endpoints(app, needs_virtual_key=resources.key_ring.is_closed)
    app.mount_hot(endpoints, resources.metrics)
    return app


def _hot_endpoints(
    settings: Settings,
    resources: ResourceSet,
    spending: Spending,
    key_limits: KeyLimits,
    answers: AnswerKeeper,
    proxy: ChatProxy,
    unlisted: UnlistedLanes,
) -> dict[str, HotEndpoint]:
    clock, key_ring, max_bytes = resources.clock, resources.key_ring, settings.max_body_bytes
    load_fields(data_dir() / "fields.yaml")  # now, so that a malformed row stops the start
    admission = Admission(
        key_ring,
        resources.routing,
        clock,
        spending,
        key_limits,
        max_bytes,
        unlisted,
        strict_fields=settings.strict_fields,
    )
    vector_admission = Admission(key_ring, resources.vectors, clock, spending, key_limits, max_bytes)

    def answering(door: Door, admission: Admission) -> HotEndpoint:
        endpoint = Answering(door, admission, proxy, clock)
        return Idempotent(endpoint, key_ring, answers, max_bytes, settings.idempotency_max_bytes)

    return {
        "/v1/chat/completions": answering(CHAT, admission),
        "/v1/responses": answering(RESPONSES, admission),
        "/v1/messages": answering(MESSAGES, admission),
        "/v1/completions": answering(COMPLETIONS, admission),
        "/v1/messages/count_tokens": CountTokens(COUNT_TOKENS, ANTHROPIC, "count_tokens", CountAnswer, admission),
        "/v1/responses/input_tokens": CountTokens(
            RESPONSES, RESPONSES_DIALECT, "input_tokens", InputTokensAnswer, admission
        ),
        "/v1/embeddings": answering(EMBEDDINGS, vector_admission),
        "/v1/route": Route(admission),
    }


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with resources_of(app).supervisor:
        yield
