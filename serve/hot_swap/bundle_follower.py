"""Follows the history of bundles while the gateway runs, and puts another bundle in place without a request noticing."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy.exc import DBAPIError

from router.errors import RouterError
from serve.bundles.bundle_keeper import BundleKeeper
from serve.bundles.gate_keeper import GateKeeper
from serve.bundles.generation import Generation
from serve.bundles.staging import Stage, Staging, Standing, staging_of
from serve.errors import ServeError
from serve.hot_swap.bundle_loader import BundleLoader
from serve.hot_swap.identity_follower import FOLLOW_S, IdentityFollower
from serve.hot_swap.live_bundle import LiveBundle
from serve.lanes.assembler import LaneAssembler
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneDirectory
from serve.lanes.no_quality_model import NoQualityModel
from serve.routing.canary import Canary
from serve.routing.service import RoutingService
from serve.routing.shadow import Shadow

_log = logging.getLogger("llmdeal.bundles")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What is to be put in place; the bundles are those of before where nothing changed."""

    staging: Staging
    champion: LiveBundle
    canary: LiveBundle | None
    shadow: LiveBundle | None


class BundleFollower:
    """Loads and lays out in a thread, and switches by a few assignments on the event loop.

    Args:
        keeper: Of what is to stand where.
        loader: Loads it.
        identity: Makes lanes when keys change; while either works on the lanes, the other waits.
        assembler: Lays lanes out.
        routing: Whose lanes are switched.
        vectors: The same for embeddings.
        champion: That the gateway was started with.
        gate_keeper: Promotes by itself; None: people promote.
        make_shadow: Makes what asks a bundle beside the champion.
    """

    def __init__(
        self,
        keeper: BundleKeeper,
        loader: BundleLoader,
        identity: IdentityFollower,
        assembler: LaneAssembler,
        routing: RoutingService,
        vectors: RoutingService,
        champion: LiveBundle,
        gate_keeper: GateKeeper | None,
        make_shadow: Callable[[Standing, Mapping[str, LaneDirectory]], Shadow],
    ) -> None:
        self.loader = loader
        self.staging = Staging(number=-1)
        self.champion = champion
        self.canary: LiveBundle | None = None
        self.shadow: LiveBundle | None = None
        self._history = keeper.history
        self._laying = identity.laying
        self._assembler = assembler
        self._routing = routing
        self._vectors = vectors
        self._gate_keeper = gate_keeper
        self._make_shadow = make_shadow
        self._asked: Shadow | None = None

    def begin(self) -> None:
        """Put what is on trial in place, before the first request. Blocks."""
        self._apply(self._prepare())

    def at_work(self) -> dict[Stage, LiveBundle]:
        """Return the bundles at work."""
        found: dict[Stage, LiveBundle | None] = {
            "champion": self.champion,
            "canary": self.canary,
            "shadow": self.shadow,
        }
        return {stage: live for stage, live in found.items() if live is not None}

    async def refresh(self) -> None:
        """See whether anything changed, and use it if so."""
        async with self._laying:
            self._apply(await asyncio.to_thread(self._prepare))

    async def follow(self) -> None:
        """Refresh every second, until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                await self.refresh()
            except DBAPIError as error:
                _log.error("the database of bundles is away: %s", type(error.orig).__name__)
            except Exception:  # whatever is wrong with a bundle, the one that decides goes on
                _log.exception("bundles stay as they are")

    def _prepare(self) -> _Prepared:
        if self._gate_keeper is not None and self.staging.number >= 0:
            self._gate_keeper.promote_the_better(self.champion.generation.version)
        staging = self.staging
        if self._history.newest() != staging.number:
            staging = staging_of(self._history.entries())
        champion = self._prepare_champion(staging.champion)
        return _Prepared(
            staging,
            champion,
            self._prepare_trial("canary", staging.canary, self.canary),
            self._prepare_trial("shadow", staging.shadow, self.shadow),
        )

    def _prepare_champion(self, wanted: Standing | None) -> LiveBundle:
        if self.champion.standing == wanted:
            self.loader.accept("champion")
            return self.champion
        if self.loader.is_refused("champion", wanted):
            return self.champion
        try:
            generation = self._generation(wanted)
            return LiveBundle(wanted, generation, self._laid_out(generation, {}))
        except (RouterError, ServeError) as error:
            self.loader.refuse("champion", wanted, error)
            return self.champion

    def _prepare_trial(self, stage: Stage, wanted: Standing | None, live: LiveBundle | None) -> LiveBundle | None:
        if wanted is None:
            self.loader.accept(stage)
            return None
        former = live.directories if live is not None and live.standing == wanted else {}
        if live is not None and live.standing == wanted and not self._is_outdated(live):
            return live
        if self.loader.is_refused(stage, wanted):
            return None
        try:
            generation = self._generation(wanted)
            directories = self._laid_out(generation, former)
        except (RouterError, ServeError) as error:
            self.loader.refuse(stage, wanted, error)
            return None
        self.loader.accept(stage)
        return LiveBundle(wanted, generation, directories)

    def _generation(self, wanted: Standing | None) -> Generation:
        """Return a generation, loaded already where the bundle is at work in another stage."""
        at_work = [live.generation for live in (self.champion, self.canary, self.shadow) if live is not None]
        known = [generation for generation in at_work if wanted is not None and generation.version == wanted.version]
        return known[0] if known else self.loader.load(wanted)

    def _laid_out(self, generation: Generation, former: Mapping[str, LaneDirectory]) -> dict[str, LaneDirectory]:
        """Return every account's lanes as a generation sees them; those that it has laid out and that did not change since are kept."""
        laid, calibrations = {}, self._assembler.calibrations()
        for account, directory in list(self._routing.directories.by_account().items()):
            known = former.get(account)
            if known is not None and known.connections is directory.connections:
                laid[account] = known
                continue
            laid[account] = self._assembler.laid_out(directory, generation, calibrations)
            time.sleep(0)  # lets the event loop have the interpreter, where there are hundreds of accounts
        return laid

    def _is_outdated(self, live: LiveBundle) -> bool:
        """Return whether lanes of an account are others than those that a bundle on trial has."""
        present = self._routing.directories.by_account()
        if present.keys() != live.directories.keys():
            return True
        return any(
            live.directories[account].connections is not directory.connections for account, directory in present.items()
        )

    def _apply(self, prepared: _Prepared) -> None:
        """Switch; on the event loop's thread, so that no request sees half of it."""
        champion, canary = prepared.champion, prepared.canary
        if champion is not self.champion:
            former = self.champion.generation.version
            self._routing.directories.swap(champion.directories)
            self._vectors.directories.swap(_of_version(self._vectors.directories, champion.generation.version))
            self._assembler.generation = champion.generation
            self.champion = replace(champion, directories={})
            _log.warning("the bundle %s decides from now on, after %s", champion.generation.version, former)
        if canary is not self.canary:
            self._routing.canary = (
                None if canary is None or canary.standing is None else Canary(canary.standing, canary.directories)
            )
            self.canary = canary
        if prepared.shadow is not self.shadow:
            self._switch_shadow(prepared.shadow)
        self.staging = prepared.staging

    def _switch_shadow(self, shadow: LiveBundle | None) -> None:
        standing = None if shadow is None else shadow.standing
        if self._asked is not None and self._asked.standing != standing:
            self._asked.stop()
            self._asked = None
        if shadow is not None and standing is not None:
            if self._asked is None:
                self._asked = self._make_shadow(standing, shadow.directories)
            self._asked.directories = shadow.directories
        self._routing.shadow = self._asked
        self.shadow = shadow

    async def close(self) -> None:
        """Store what the shadow has scored so far."""
        asked, self._asked, self._routing.shadow = self._asked, None, None
        if asked is not None:
            await asyncio.to_thread(asked.close)


def _of_version(directories: LaneDirectories, version: str) -> Mapping[str, LaneDirectory]:
    none = NoQualityModel(version)
    return {account: replace(directory, quality_model=none) for account, directory in directories.by_account().items()}
