"""The watch of one worker, as the settings have it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sqlalchemy import Engine

from router.lane_correction import ShiftPrior
from router.lane_learning import LearningTerms
from router.reference_answers import ReferenceAnswers
from serve.alerts.outbox import AlertRepository
from serve.alerts.watch_alerts import WatchAlerts
from serve.alerts.watch_repository import WatchRepository
from serve.background.supervisor import BackgroundPart
from serve.bundles.store import BundleStore
from serve.clock import Clock
from serve.hot_swap.bundle_follower import BundleFollower
from serve.lanes.directories import LaneDirectories
from serve.metrics import Metrics
from serve.settings import Settings, WatchSettings
from serve.watch.account_watch import AccountWatch, account_corrections_folder
from serve.watch.bundle_shifts import BundleShifts
from serve.watch.follower import WatchFollower
from serve.watch.lane_watch import LaneWatch
from serve.watch.price_watch import PriceWatch
from serve.watch.prompt_watch import PromptWatch


def learning_terms(watch: WatchSettings) -> LearningTerms:
    """Return the terms by which the watch learns about lanes."""
    prior = ShiftPrior(half_life_s=watch.half_life_hours * 3_600, max_shift=watch.max_shift)
    return LearningTerms(prior, watch.tolerance, watch.answers_between_false_alarms)


def configured_watch(
    settings: Settings,
    environment: Mapping[str, str],
    engine: Engine,
    directories: LaneDirectories,
    bundles: BundleFollower,
    bundle_store: BundleStore,
    clock: Clock,
    metrics: Metrics,
) -> tuple[BackgroundPart, ...]:
    """Return the background work of the watch.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; say which folder of this machine holds corrections for accounts.
        engine: The database.
        directories: Every account's lanes.
        bundles: Bundles in use; prompts are compared with those that the champion was trained on.
        bundle_store: Bundles on disk.
        clock: Time.
        metrics: Counters; alarms are counted there.
    """
    watch, repository = settings.watch, WatchRepository(engine)

    def in_use() -> tuple[str, Callable[[], ReferenceAnswers]]:
        generation = bundles.champion.generation
        return generation.version, generation.read_reference

    def bundle_folders() -> Iterable[Path]:
        return bundle_store.folders().values()

    follower = WatchFollower(
        directories,
        LaneWatch(engine, repository, learning_terms(watch), BundleShifts(bundle_folders)),
        PriceWatch(repository, watch.price_change_percent),
        PromptWatch(engine, repository, watch.stability_index, in_use),
        AccountWatch(account_corrections_folder(settings.account_corrections, environment), bundle_folders),
        None if settings.alerts is None else WatchAlerts(AlertRepository(engine)),
        clock,
        metrics,
        moves_lanes=watch.learns_lanes,
    )
    return (BackgroundPart("watch", run=follower.follow),)
