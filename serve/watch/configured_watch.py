"""The watch as the settings have it."""

from collections.abc import Callable, Iterable
from pathlib import Path

from sqlalchemy import Engine

from router.lane_correction import ShiftPrior
from router.lane_learning import LearningTerms
from router.reference_answers import ReferenceAnswers
from serve.alerts.outbox import AlertRepository
from serve.alerts.watch_alerts import WatchAlerts
from serve.alerts.watch_repository import WatchRepository
from serve.clock import Clock
from serve.hot_swap.bundle_follower import BundleFollower
from serve.lanes.directories import LaneDirectories
from serve.metrics import Metrics
from serve.settings import WatchSettings
from serve.watch.account_watch import AccountWatch
from serve.watch.bundle_shifts import BundleShifts
from serve.watch.follower import WatchFollower
from serve.watch.lane_watch import LaneWatch
from serve.watch.price_watch import PriceWatch
from serve.watch.prompt_watch import PromptWatch


def learning_terms(watch: WatchSettings) -> LearningTerms:
    """Return how lanes are learned of."""
    prior = ShiftPrior(half_life_s=watch.half_life_hours * 3_600, max_shift=watch.max_shift)
    return LearningTerms(prior, watch.tolerance, watch.answers_between_false_alarms)


def configured_watch(
    watch: WatchSettings,
    engine: Engine,
    directories: LaneDirectories,
    bundles: BundleFollower,
    clock: Clock,
    metrics: Metrics,
    accounts: AccountWatch,
    bundle_folders: Callable[[], Iterable[Path]],
    *,
    has_alerts: bool,
) -> WatchFollower:
    """Return the watch of one worker.

    Args:
        watch: The section of the settings.
        engine: The database.
        directories: The lanes of every account.
        bundles: Knows which one decides: with its prompts others are compared.
        clock: The present moment.
        metrics: Counts alarms.
        accounts: Finds the accounts' own corrections.
        bundle_folders: Returns those of all bundles.
        has_alerts: Whether somebody is told of alarms by webhook.
    """
    repository = WatchRepository(engine)

    def in_use() -> tuple[str, Callable[[], ReferenceAnswers]]:
        generation = bundles.champion.generation
        return generation.version, generation.read_reference

    return WatchFollower(
        directories,
        LaneWatch(engine, repository, learning_terms(watch), BundleShifts(bundle_folders)),
        PriceWatch(repository, watch.price_change_percent),
        PromptWatch(engine, repository, watch.stability_index, in_use),
        accounts,
        WatchAlerts(AlertRepository(engine)) if has_alerts else None,
        clock,
        metrics,
        moves_lanes=watch.learns_lanes,
    )
