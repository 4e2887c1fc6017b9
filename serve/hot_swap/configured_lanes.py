"""The lanes that a gateway begins with, as the settings and the stored keys and bundles have them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from serve.background.supervisor import BackgroundPart
from serve.bundles.bundle_keeper import BundleKeeper
from serve.bundles.calibration_file import CalibrationsState
from serve.bundles.history import BundleHistory
from serve.bundles.store import BundleStore
from serve.clock import Clock
from serve.hot_swap.bundle_loader import BundleLoader
from serve.hot_swap.identity_follower import FirstLanes, first_lanes
from serve.hot_swap.identity_stores import IdentityStores, open_identity
from serve.hot_swap.live_bundle import LiveBundle
from serve.identity.content_consent import ContentConsent
from serve.identity.virtual_keys import KeyRing, configured_keys
from serve.lanes.assembler import LaneAssembler
from serve.lanes.directories import LaneDirectories
from serve.lanes.fresh_signers import FreshSigners
from serve.lanes.metrics import LaneMetrics
from serve.metrics import Metrics
from serve.settings import Settings


@dataclass(frozen=True, slots=True)
class ConfiguredLanes:
    """Keys, bundles and lanes of one gateway at its start.

    Args:
        stores: Stored accounts, people and keys.
        key_ring: Virtual keys that the gateway accepts.
        consent: Limit of what is logged of each account's requests.
        bundle_keeper: Bundles, and the history of which are in use.
        loader: Loader of bundles.
        champion: Bundle that decides.
        assembler: Assembler of lanes.
        calibrations: State of the files of graded answers before the first lanes were assembled.
        first: Lanes that the gateway begins with.
        parts: Connections to providers, and background work that keeps credentials fresh.
    """

    stores: IdentityStores
    key_ring: KeyRing
    consent: ContentConsent
    bundle_keeper: BundleKeeper
    loader: BundleLoader
    champion: LiveBundle
    assembler: LaneAssembler
    calibrations: CalibrationsState
    first: FirstLanes
    parts: tuple[BackgroundPart, ...]

    @property
    def directories(self) -> tuple[LaneDirectories, LaneDirectories]:
        """Every account's lanes, for answers and for embeddings."""
        return self.first.answers, self.first.vectors


def configured_lanes(
    settings: Settings,
    environment: Mapping[str, str],
    engine: Engine,
    bundle_store: BundleStore,
    clock: Clock,
    metrics: Metrics,
) -> ConfiguredLanes:
    """Open the stored keys, load the bundle that decides and assemble the operator's lanes.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; hold provider keys.
        engine: The database.
        bundle_store: Bundles on disk.
        clock: Time.
        metrics: Counters; lanes and refused bundles are shown there.

    Raises:
        ConfigurationError: The master key, a virtual key or the lanes are wrong.
        router.errors.BundleError: No bundle can be used.
    """
    stores = open_identity(settings, environment, engine, clock)
    key_ring = KeyRing(configured_keys(settings), clock.now)
    bundle_keeper = BundleKeeper(bundle_store, BundleHistory(stores.audit))
    loader = BundleLoader(bundle_store, metrics.note_bundle_refused)
    champion = loader.first_champion(bundle_keeper.staging())
    assembler = LaneAssembler(settings, environment, champion.generation, clock)
    calibrations = assembler.calibrations_state()
    first = first_lanes(stores, assembler)
    directories = (first.answers, first.vectors)
    metrics.registry.register(LaneMetrics(directories))
    signers = FreshSigners(directories)
    transports = [
        BackgroundPart(f"transport_{number}", close=transport.close)
        for number, transport in enumerate(assembler.transports)
    ]
    return ConfiguredLanes(
        stores=stores,
        key_ring=key_ring,
        consent=ContentConsent(settings.telemetry_content),
        bundle_keeper=bundle_keeper,
        loader=loader,
        champion=champion,
        assembler=assembler,
        calibrations=calibrations,
        first=first,
        parts=(*transports, BackgroundPart("credentials", run=signers.follow, close=signers.close)),
    )
