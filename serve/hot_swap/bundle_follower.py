"""Follows the history of bundles and the graded answers of models while the gateway runs.

Bundles and the beliefs about models change without disturbing a request.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError

from router.errors import RouterError
from serve.bundles.calibration_file import CalibrationsState
from serve.bundles.gate_keeper import GateKeeper
from serve.bundles.generation import Generation
from serve.bundles.history import BundleHistory
from serve.bundles.staging import Stage, Staging, Standing, staging_of
from serve.errors import ConfigurationError, ServeError
from serve.hot_swap.bundle_loader import BundleLoader
from serve.hot_swap.bundle_switch import BundleSwitch
from serve.hot_swap.identity_follower import FOLLOW_S
from serve.hot_swap.live_bundle import LiveBundle
from serve.lanes.directory import LaneDirectory

_log = logging.getLogger("llmdeal.bundles")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The bundles to put in place; the same objects as before where nothing changed."""

    staging: Staging
    lanes: Mapping[str, LaneDirectory]
    champion: LiveBundle
    canary: LiveBundle | None
    shadow: LiveBundle | None
    calibrations: CalibrationsState


class BundleFollower(Collector):
    """Loads bundles in a thread and switches to them on the event loop. Shows Prometheus which are in use.

    When a file of graded answers comes, changes or goes, the lanes of all bundles in use are arranged again.

    Args:
        history: History of bundles.
        loader: Loader of the bundles that the history names.
        switch: Switch that puts them in place.
        champion: Bundle that the gateway was started with.
        calibrations: State of the files of graded answers that the first lanes were arranged by.
        lanes_lock: Lock that is held while lanes are changed, by this follower and by the one of keys and accounts.
        gate_keeper: Promoter of bundles that the gate calls better; None: only people promote.
    """

    def __init__(
        self,
        history: BundleHistory,
        loader: BundleLoader,
        switch: BundleSwitch,
        champion: LiveBundle,
        calibrations: CalibrationsState,
        lanes_lock: asyncio.Lock,
        gate_keeper: GateKeeper | None,
    ) -> None:
        self.loader = loader
        self.staging = Staging(number=-1)
        self.champion = champion
        self.canary: LiveBundle | None = None
        self.shadow: LiveBundle | None = None
        self._calibrations = calibrations
        self._history = history
        self._switch = switch
        self._lanes_lock = lanes_lock
        self._gate_keeper = gate_keeper

    def begin(self) -> None:
        """Put the bundles on trial in place, before the first request. Blocks."""
        self._apply(self._prepare())

    def at_work(self) -> dict[Stage, LiveBundle]:
        """Return the bundles in use by stage."""
        by_stage: dict[Stage, LiveBundle | None] = {
            "champion": self.champion,
            "canary": self.canary,
            "shadow": self.shadow,
        }
        return {stage: live for stage, live in by_stage.items() if live is not None}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge for Prometheus: 1 for each bundle in use, labelled by stage and version."""
        gauge = GaugeMetricFamily("llmdeal_bundle_info", "1 for each bundle at work.", labels=["stage", "version"])
        for stage, live in self.at_work().items():
            gauge.add_metric([stage, live.generation.version], 1)
        yield gauge

    async def refresh(self) -> None:
        """Read the history again, and use the bundles that it names now."""
        async with self._lanes_lock:
            self._apply(await asyncio.to_thread(self._prepare))

    async def follow(self) -> None:
        """Refresh every second, until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                await self.refresh()
            except DBAPIError as error:
                _log.error("the database of bundles is away: %s", type(error.orig).__name__)

    def _prepare(self) -> _Prepared:
        if self._gate_keeper is not None and self.staging.number >= 0:
            self._gate_keeper.promote_the_better(self.champion.generation.version)
        staging = self.staging
        if self._history.newest() != staging.number:
            staging = staging_of(self._history.entries())
        calibrations = self._switch.calibrations_state()
        is_recalibrated = calibrations != self._calibrations and self._can_read_calibrations()
        # All bundles are loaded before any lanes are laid out, because all of them decide on the same lanes.
        champion = self._loaded("champion", staging.champion)
        canary = None if staging.canary is None else self._loaded("canary", staging.canary)
        shadow = None if staging.shadow is None else self._loaded("shadow", staging.shadow)
        lanes = self._lanes_for([loaded for loaded in (champion, canary, shadow) if loaded is not None])
        decides = self._prepare_champion(staging.champion, champion, lanes, is_recalibrated=is_recalibrated)
        # A new champion may bring the choosable lanes into another order. All bundles have the same one.
        ordered = lanes if decides is self.champion else decides.directories
        return _Prepared(
            staging,
            lanes,
            decides,
            self._prepare_trial(
                "canary", staging.canary, self.canary, canary, ordered, is_recalibrated=is_recalibrated
            ),
            self._prepare_trial(
                "shadow", staging.shadow, self.shadow, shadow, ordered, is_recalibrated=is_recalibrated
            ),
            calibrations,
        )

    def _can_read_calibrations(self) -> bool:
        try:
            self._switch.check_calibrations()
        except ConfigurationError as error:
            _log.error("the beliefs about calibrated models stay as they are: %s", error)
            return False
        return True

    def _loaded(self, stage: Stage, wanted: Standing | None) -> Generation | None:
        """Return the bundle that a stage is to have: the loaded one if it is in use, else load it. None: refused."""
        live = self.at_work().get(stage)
        if live is not None and live.standing == wanted:
            return live.generation
        if self.loader.is_refused(stage, wanted):
            return None
        try:
            return self._generation(wanted)
        except (RouterError, ServeError) as error:
            self.loader.refuse(stage, wanted, error)
            return None

    def _lanes_for(self, generations: Sequence[Generation]) -> Mapping[str, LaneDirectory]:
        try:
            return self._switch.lanes_for(generations)
        except ServeError:
            # The bundle is refused with the same error in a moment, when its lanes are laid out.
            return self._switch.lanes_for(())

    def _prepare_champion(
        self,
        wanted: Standing | None,
        generation: Generation | None,
        lanes: Mapping[str, LaneDirectory],
        *,
        is_recalibrated: bool,
    ) -> LiveBundle:
        present = self.champion
        if is_recalibrated:
            directories = self._switch.arranged(present.generation, lanes, {}, is_champion=True)
            present = replace(present, directories=directories)
        if present.standing == wanted:
            self.loader.accept("champion")
            return present
        if generation is None:
            return present
        try:
            return LiveBundle(wanted, generation, self._switch.arranged(generation, lanes, {}, is_champion=True))
        except (RouterError, ServeError) as error:
            self.loader.refuse("champion", wanted, error)
            return present

    def _prepare_trial(
        self,
        stage: Stage,
        wanted: Standing | None,
        live: LiveBundle | None,
        generation: Generation | None,
        lanes: Mapping[str, LaneDirectory],
        *,
        is_recalibrated: bool,
    ) -> LiveBundle | None:
        if wanted is None:
            self.loader.accept(stage)
            return None
        former: Mapping[str, LaneDirectory] = {}
        if live is not None and live.standing == wanted and not is_recalibrated:
            if not self._switch.is_outdated(live, lanes):
                return live
            former = live.directories
        if generation is None or self.loader.is_refused(stage, wanted):
            return None
        try:
            directories = self._switch.arranged(generation, lanes, former)
        except (RouterError, ServeError) as error:
            self.loader.refuse(stage, wanted, error)
            return None
        self.loader.accept(stage)
        return LiveBundle(wanted, generation, directories)

    def _generation(self, wanted: Standing | None) -> Generation:
        """Return a bundle: the loaded one if it is in use in another stage, else load it."""
        if wanted is not None:
            for live in self.at_work().values():
                if live.generation.version == wanted.version:
                    return live.generation
        return self.loader.load(wanted)

    def _apply(self, prepared: _Prepared) -> None:
        """Switch; runs on the thread of the event loop, so that no request sees one half of it."""
        champion, canary, shadow = prepared.champion, prepared.canary, prepared.shadow
        self._switch.use_lanes(prepared.lanes)
        if champion is not self.champion:
            former = self.champion.generation
            self._switch.use_champion(champion)
            self.champion = replace(champion, directories={})
            if champion.generation is former:
                _log.info("the beliefs about models follow their newest graded answers from now on")
            else:
                _log.warning("the bundle %s decides from now on, after %s", champion.generation.version, former.version)
        if canary is not self.canary:
            self._switch.use_canary(canary)
            self.canary = canary
        if shadow is not self.shadow:
            self._switch.use_shadow(shadow)
            self.shadow = shadow
        self.staging = prepared.staging
        self._calibrations = prepared.calibrations

    async def close(self) -> None:
        """Store what the shadow has scored so far."""
        await self._switch.close()
