"""Puts bundles in place: lays every account's lanes out for them in a thread, and switches between two requests."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from serve.bundles.calibration_file import CalibrationsState
from serve.bundles.generation import Generation
from serve.bundles.staging import Standing
from serve.hot_swap.live_bundle import LiveBundle
from serve.lanes.assembler import LaneAssembler
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneDirectory
from serve.lanes.no_quality_model import NoQualityModel
from serve.routing.canary import Canary
from serve.routing.service import RoutingService
from serve.routing.shadow import Shadow

_LOOK_S = 1.0

MakeShadow = Callable[[Standing, Mapping[str, LaneDirectory]], Shadow]
"""Makes the shadow of a bundle from every account's lanes as the bundle sees them."""


class BundleSwitch:
    """Lays lanes out for bundles and switches to them. The `use_…` methods run on the thread of the event loop.

    Args:
        assembler: Assembler of lanes; new lanes are for the bundle that decides.
        routing: Routing of answers.
        vectors: Routing of embeddings.
        make_shadow: Maker of shadows.
    """

    def __init__(
        self, assembler: LaneAssembler, routing: RoutingService, vectors: RoutingService, make_shadow: MakeShadow
    ) -> None:
        self._assembler = assembler
        self._routing = routing
        self._vectors = vectors
        self._make_shadow = make_shadow
        self._shadow: Shadow | None = None

    def lanes_for(self, generations: Iterable[Generation]) -> Mapping[str, LaneDirectory]:
        """Return every account's lanes, with those added that the bundles' efforts of reasoning need. Blocks.

        Args:
            generations: Loaded bundles that are about to be used.

        Raises:
            ConfigurationError: A file of graded answers is malformed.
        """
        directories = self._routing.directories
        newer = [generation for generation in generations if not self._assembler.has_models_of(generation)]
        if not newer:
            return dict(directories.by_account())
        calibrations = self._assembler.calibrations()
        for generation in newer:
            self._assembler.note_models_of(generation)
        return {
            account: self._assembler.with_efforts(directory, calibrations, directories)
            for account, directory in list(directories.by_account().items())
        }

    def use_lanes(self, lanes: Mapping[str, LaneDirectory]) -> None:
        """Use the lanes that `lanes_for` returned from now on; those that were there before keep what is known."""
        directories = self._routing.directories
        for account, directory in lanes.items():
            if directories.by_account().get(account) is not directory:
                directories.replace(account, directory)

    def arranged(
        self,
        generation: Generation,
        lanes: Mapping[str, LaneDirectory],
        former: Mapping[str, LaneDirectory],
        *,
        is_champion: bool = False,
    ) -> dict[str, LaneDirectory]:
        """Return every account's lanes as a bundle sees them. Blocks.

        Args:
            generation: The loaded bundle.
            lanes: Lanes of every account.
            former: Lanes that were laid out for it before; they are kept where the account's lanes did not change.
            is_champion: Whether it is going to decide. Then the models that it knows become choosable.
        """
        directories, calibrations = {}, self._assembler.calibrations()
        for account, directory in lanes.items():
            kept = former.get(account)
            if kept is not None and kept.connections is directory.connections:
                directories[account] = kept
                continue
            host = self._routing.directories if is_champion else None
            directories[account] = self._assembler.arrange(directory, generation, calibrations, host)
            # Gives the interpreter's lock to the event loop. Without it, each turn of the loop waited 5 ms for the lock
            # instead of 0.2 ms while 200 accounts with 21 lanes each were laid out (median, 2 cores, 2026-11-30).
            time.sleep(0)
        return directories

    def calibrations_state(self) -> CalibrationsState:
        """Return what tells that graded answers of models have changed. Blocks."""
        return self._assembler.calibrations_state()

    def check_calibrations(self) -> None:
        """Read the graded answers of models, if they have changed. Blocks.

        Raises:
            ConfigurationError: A file is malformed.
        """
        self._assembler.calibrations()

    def is_outdated(self, live: LiveBundle, lanes: Mapping[str, LaneDirectory]) -> bool:
        """Return whether an account's lanes have changed since they were laid out for a bundle on trial.

        Args:
            live: The bundle on trial.
            lanes: Lanes of every account.
        """
        if lanes.keys() != live.directories.keys():
            return True
        return any(
            live.directories[account].connections is not directory.connections for account, directory in lanes.items()
        )

    def use_champion(self, champion: LiveBundle) -> None:
        """Let a bundle decide from now on."""
        version = champion.generation.version
        self._routing.directories.swap(champion.directories)
        self._vectors.directories.swap(_of_version(self._vectors.directories, version))
        self._assembler.use(champion.generation)

    def use_canary(self, canary: LiveBundle | None) -> None:
        """Let a bundle decide a share of the conversations; None: the champion decides all of them."""
        standing = None if canary is None else canary.standing
        if canary is None or standing is None:
            self._routing.use_canary(None)
        else:
            self._routing.use_canary(Canary(standing, canary.directories))

    def use_shadow(self, shadow: LiveBundle | None) -> None:
        """Ask a bundle about the requests without using its answers; None: no bundle is asked."""
        standing = None if shadow is None else shadow.standing
        if self._shadow is not None and self._shadow.standing != standing:
            self._shadow.stop()
            self._shadow = None
        if shadow is not None and standing is not None:
            if self._shadow is None:
                self._shadow = self._make_shadow(standing, shadow.directories)
            self._shadow.use(shadow.directories)
        self._routing.use_shadow(self._shadow)

    async def follow_shadow(self) -> None:
        """Watch the thread of the shadow, of each one that there is, until cancelled.

        Raises:
            RuntimeError: An error ended the thread; the next call starts it again.
        """
        while True:
            await (asyncio.sleep(_LOOK_S) if self._shadow is None else self._shadow.follow())

    async def close(self) -> None:
        """Store what the shadow has scored so far."""
        shadow, self._shadow = self._shadow, None
        self._routing.use_shadow(None)
        if shadow is not None:
            await shadow.close()


def _of_version(directories: LaneDirectories, version: str) -> Mapping[str, LaneDirectory]:
    no_model = NoQualityModel(version)
    return {
        account: replace(directory, quality_model=no_model) for account, directory in directories.by_account().items()
    }
