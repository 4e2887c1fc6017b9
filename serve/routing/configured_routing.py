"""The routing of one worker, as the settings have it: answers, embeddings, policy, exploration and shadows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from sqlalchemy import Engine

from router.lane import EFFORTS
from router.policies.cheapest import Cheapest
from serve.background.supervisor import BackgroundPart
from serve.bundles.staging import Standing
from serve.clock import Clock
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneDirectory
from serve.metrics import Metrics
from serve.money.spending import Spending
from serve.routing.chosen_policy import RunningPolicy, default_policy
from serve.routing.exploration.configured_exploration import configured_explorer
from serve.routing.exploration.explorer import Explorer
from serve.routing.service import RoutingService
from serve.routing.shadow import Shadow
from serve.routing.shadow_repository import ShadowRepository
from serve.settings import Settings, efforts_named


@dataclass(frozen=True, slots=True)
class ConfiguredRouting:
    """The routing of one worker.

    Args:
        answers: Routing of requests for answers.
        vectors: Routing of requests for embeddings.
        policy: Policy of smart-route, as it is now.
        explorer: Chooser of lanes to learn about; None: nothing is explored.
        shadow_decisions: Stored decisions of shadows.
        make_shadow: Maker of a shadow from every account's lanes.
        parts: Background work of the routing.
    """

    answers: RoutingService
    vectors: RoutingService
    policy: RunningPolicy
    explorer: Explorer | None
    shadow_decisions: ShadowRepository
    make_shadow: Callable[[Standing, Mapping[str, LaneDirectory]], Shadow]
    parts: tuple[BackgroundPart, ...]


def configured_routing(
    settings: Settings,
    environment: Mapping[str, str],
    engine: Engine,
    lanes: tuple[LaneDirectories, LaneDirectories],
    spending: Spending,
    clock: Clock,
    metrics: Metrics,
) -> ConfiguredRouting:
    """Return the routing on some lanes.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; those of the policy win over what the operator chose.
        engine: The database.
        lanes: Every account's lanes, for answers and for embeddings.
        spending: Budgets that pay for requests.
        clock: Time.
        metrics: Counters; exploration and shadows are shown there.

    Raises:
        ConfigurationError: The ceiling of exploration is no amount, or the time zone is unknown.
    """
    directories, vector_directories = lanes
    explorer = configured_explorer(settings, engine, metrics, clock)
    rng = np.random.default_rng(settings.seed)
    efforts = efforts_named(settings.route_efforts)
    answers = RoutingService(
        directories,
        default_policy(settings),
        rng,
        spending,
        explorer,
        efforts=None if efforts == frozenset(EFFORTS) else efforts,
    )
    repository = ShadowRepository(engine)
    make_shadow = partial(
        Shadow, repository=repository, now=clock.now, on_outcome=metrics.note_shadow, seed=settings.seed
    )
    parts: list[BackgroundPart] = []
    if explorer is not None:
        budget = explorer.budget
        parts.append(BackgroundPart("exploration", start=budget.look, run=budget.follow, close=budget.close))
    return ConfiguredRouting(
        answers=answers,
        # The caller chooses the embedding model, so nothing is predicted: the cheapest lane that hosts it comes first.
        vectors=RoutingService(vector_directories, Cheapest(), np.random.default_rng(settings.seed), spending),
        policy=RunningPolicy(settings, environment, answers),
        explorer=explorer,
        shadow_decisions=repository,
        make_shadow=make_shadow,
        parts=tuple(parts),
    )
