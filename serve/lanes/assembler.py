"""Makes the lanes of each account.

They come from providers with a key, from the operator's own servers, and from the sandbox if there is nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from router.arrays import Mask
from router.bar import Bar
from router.catalogue_models import CatalogueModels
from router.lane import Lane
from router.lane_table import LaneTable
from router.price_table import Price, PriceTable
from router.quality_model import QualityModel
from serve.bundles.calibration_file import (
    CalibrationFile,
    CalibrationsState,
    calibrations_folder,
    calibrations_state,
    read_calibrations,
)
from serve.bundles.generation import Generation
from serve.catalogue.price_sources import PriceSources, PriceUse
from serve.clock import Clock
from serve.dialects.embeddings.dialect import EMBEDDINGS
from serve.dialects.quirks import NO_QUIRKS
from serve.errors import ConfigurationError
from serve.identity.rows import HostedLanes
from serve.lanes.at_efforts import at_default_effort, at_efforts
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneConnection, LaneDirectory
from serve.lanes.health import LaneHealth
from serve.lanes.hosted_health import AnyLaneHealth, HostedLaneHealth
from serve.lanes.no_quality_model import NoQualityModel
from serve.lanes.of_providers import ProviderConnections, ProviderConnector, scaled
from serve.lanes.of_servers import server_connections
from serve.lanes.reasoning_affinity import ReasoningAffinity
from serve.lanes.shared_rows import rows_that_share
from serve.lanes.warm_caches import WarmCaches
from serve.prices.store import PriceStore
from serve.provider_keys.accounts import OpenedProviderKey
from serve.sandbox.lanes import sandbox_lanes
from serve.sandbox.transport import SandboxTransport
from serve.settings import Settings
from serve.upstream.http_transport import HttpTransport
from serve.upstream.signing.signer import Signer
from serve.upstream.transport import Deadlines, UpstreamTransport
from serve.upstream.upstream_terms import UpstreamTerms


@dataclass(frozen=True, slots=True)
class LaneAssembly:
    """The lanes of one account.

    Args:
        directory: The lanes that answer.
        embeddings: The lanes that make vectors.
        notices: Messages for the operator, such as what was left out.
        signers: Credentials that have to be renewed while the gateway runs.
    """

    directory: LaneDirectory
    embeddings: LaneDirectory
    notices: tuple[str, ...]
    signers: tuple[Signer, ...]


class LaneAssembler:
    """Makes the lanes of accounts. Does no network call.

    Args:
        settings: Settings of the gateway.
        environment: Environment variables; provider keys are looked up there.
        generation: Bundle that new lanes are arranged for, until `use` names another one.
        clock: Clock for prices and for the lanes' health.
    """

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], generation: Generation, clock: Clock
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._calibrations_folder = calibrations_folder(settings.calibrations, environment)
        self._calibrations: tuple[CalibrationsState, Sequence[CalibrationFile]] | None = None
        self._generation = generation
        self._trained_names = frozenset(generation.bundle.known_names)
        self._clock = clock
        self._prices: PriceSources | None = None
        self._http = HttpTransport()
        self._sandbox = SandboxTransport(settings.sandbox_pace)
        self._deadlines = Deadlines(settings.connect_timeout_s, settings.read_timeout_s, settings.total_timeout_s)

    @property
    def transports(self) -> tuple[UpstreamTransport, ...]:
        """The clients that carry the lanes' bytes; the gateway closes them when it stops."""
        return (self._http, self._sandbox)

    def use(self, generation: Generation) -> None:
        """Arrange new lanes for another bundle from now on. Existing lanes stay as they are."""
        self._generation = generation

    @property
    def prices(self) -> PriceSources:
        """The prices of new lanes: those of the day on which they were first looked up. It reads files at first."""
        if self._prices is None:
            now = self._clock.now()
            self._prices = PriceSources(
                now, PriceStore.of_settings(self._settings, self._environment).tables(now.date())
            )
        return self._prices

    @property
    def used_prices(self) -> Mapping[PriceUse, Price | None]:
        """The prices that were looked up so far; None: it is unknown."""
        return {} if self._prices is None else dict(self._prices.used)

    def use_prices(self, prices: PriceSources) -> None:
        """Look up the prices of new lanes there from now on. Existing lanes stay as they are."""
        self._prices = prices

    def has_models_of(self, generation: Generation) -> bool:
        """Return whether the models of a loaded bundle were noted already."""
        return self._trained_names.issuperset(generation.bundle.known_names)

    def note_models_of(self, generation: Generation) -> None:
        """Note the models of a loaded bundle. From now on lanes have the efforts that it knows.

        Lanes have the efforts of every bundle that was loaded, so that all bundles decide on the same rows.
        """
        self._trained_names = self._trained_names.union(generation.bundle.known_names)

    def of_operator(self, stored: Sequence[OpenedProviderKey] = ()) -> LaneAssembly:
        """Return the lanes of the operator's account: providers, own servers and stored keys.

        The sandbox is added if the settings say so, or if there is nothing else that answers.

        Raises:
            ConfigurationError: Settings or catalogue are wrong, or there is no lane and the sandbox is off.
        """
        connector = self._connector()
        configured = self._configured(connector)
        own = connector.of_stored_keys(stored)
        connections = [*configured.connections, *own.connections]
        notices = [*configured.notices, *own.notices]
        has_answers = any(EMBEDDINGS.name not in connection.endpoints for connection in connections)
        if self._settings.sandbox == "on" or (self._settings.sandbox == "auto" and not has_answers):
            if not has_answers:
                until = "Until then answers come from the built-in sandbox and are simulated."
                notices.insert(0, f"{_no_keys_notice(connector.key_names)} {until}")
            connections += self._sandbox_connections()
        elif not has_answers:
            raise ConfigurationError(f"there is no lane: {_no_keys_notice(connector.key_names)} The sandbox is off.")
        return self._assembled(connections, notices, (*configured.signers, *own.signers))

    def of_account(
        self,
        stored: Sequence[OpenedProviderKey],
        hosted_lanes: HostedLanes,
        operators: tuple[LaneDirectories, LaneDirectories],
    ) -> LaneAssembly:
        """Return the lanes of another account: those of its stored keys, and the hosted lanes that it may use.

        Args:
            stored: Its stored keys.
            hosted_lanes: Condition under which it may use the operator's lanes.
            operators: Directories of the operator's lanes, for answers and vectors; hosted lanes share their health.
        """
        connector = self._connector()
        own = connector.of_stored_keys(stored)
        if hosted_lanes == "never":
            return self._assembled(own.connections, own.notices, own.signers)
        hosts = {provider_id for provider_id, configured in self._settings.providers.items() if configured.is_hosted}
        hosts |= {server.id for server in self._settings.servers if server.is_hosted}
        configured = self._configured(connector)
        hosted = [
            self._hosted(connection, is_reserve=hosted_lanes == "when_spent")
            for connection in configured.connections
            if connection.lane.provider in hosts
        ]
        return self._assembled([*own.connections, *hosted], own.notices, (*own.signers, *configured.signers), operators)

    def nothing(self) -> LaneDirectory:
        """Return the directory of an account that has no lanes."""
        return _directory(
            (), LaneTable.build((), ()), 0, NoQualityModel(self._generation.version), self._generation, self._clock
        )

    def calibrations(self) -> Sequence[CalibrationFile]:
        """Return the graded answers of all calibrated models. The files are read again when one has changed.

        Raises:
            ConfigurationError: A file is malformed.
        """
        state = self.calibrations_state()  # before the files are read, so that no later change is missed
        if self._calibrations is None or self._calibrations[0] != state:
            self._calibrations = state, read_calibrations(self._calibrations_folder)
        return self._calibrations[1]

    def calibrations_state(self) -> CalibrationsState:
        """Return what tells that the graded answers have changed. It is cheap: the files are not read."""
        return calibrations_state(self._calibrations_folder)

    def arrange(
        self,
        directory: LaneDirectory,
        generation: Generation,
        calibrations: Sequence[CalibrationFile],
        host: LaneDirectories | None = None,
    ) -> LaneDirectory:
        """Return the same lanes, arranged for another bundle. Blocks.

        Both directories share the lanes' health and what is known of conversations. The rows stay the same, so what
        becomes of a request that was decided on one directory is seen in both. The choosable lanes stay the same
        too, so that bundles are compared on the same ones.

        Args:
            directory: The lanes.
            generation: The other bundle.
            calibrations: Graded answers of calibrated models.
            host: Directories of the operator's lanes, if the bundle is to decide. Then the lanes that it knows become
                choosable. If that changes the order of the lanes, the directory is a new one that has to adopt what
                was known of them. None: the bundle is on trial.
        """
        table = _believed([connection.lane for connection in directory.connections], generation, calibrations)
        if host is not None:
            is_choosable, _ = choosable_lanes(table)
            n_choosable = int(is_choosable.sum())
            if n_choosable != len(directory.choosable) or not is_choosable[:n_choosable].all():
                connections, table = _choosable_first(directory.connections, table, is_choosable, generation)
                model = generation.quality_model
                return _directory(connections, table, n_choosable, model, generation, self._clock, host)
        choosable = table.first(len(directory.choosable), generation.bundle.trained_names, generation.bundle.catalogue)
        bar = Bar(choosable, generation.read_reference)
        bar.prepare_like(directory.bar)
        pin_bar = bar if choosable is table else Bar(table, generation.read_reference)
        return replace(
            directory,
            table=table,
            choosable=choosable,
            bar=bar,
            pin_bar=pin_bar,
            quality_model=generation.quality_model,
        )

    def extended(
        self, directory: LaneDirectory, connections: Sequence[LaneConnection], host: LaneDirectories
    ) -> LaneDirectory:
        """Return a directory with more lanes, after its own ones. They answer only requests that name them. Blocks.

        Args:
            directory: The lanes so far; they keep their rows.
            connections: The further lanes.
            host: Directories of the operator's lanes; hosted lanes share their health.
        """
        generation = self._generation
        reserves = {each.lane.provider for each in directory.connections if each.lane.is_reserve}
        reserved = [
            replace(each, lane=replace(each.lane, is_reserve=each.lane.provider in reserves)) for each in connections
        ]
        further = at_efforts(reserved, self._trained_names)
        everything = [*directory.connections, *further]
        lanes = [*directory.table.lanes, *(each.lane for each in further)]
        table = _table(lanes, generation.bundle.trained_names)
        n_choosable = len(directory.choosable)
        return _directory(everything, table, n_choosable, generation.quality_model, generation, self._clock, host)

    def _connector(self) -> ProviderConnector:
        today = self._clock.now().date()
        chooses_all = self._settings.smart_route_lanes == "priced"
        return ProviderConnector(self._http, self._deadlines, lambda: self.prices, today, chooses_all=chooses_all)

    def with_efforts(
        self, directory: LaneDirectory, calibrations: Sequence[CalibrationFile], operators: LaneDirectories
    ) -> LaneDirectory:
        """Return an account's lanes with those at efforts that were noted since; the same object if there are none.

        Blocks. `LaneDirectory.adopt` takes over what is known of the former lanes.

        Args:
            directory: Lanes of the account, arranged for the bundle that decides.
            calibrations: Graded answers of models.
            operators: Lanes of all accounts; hosted lanes share the health of the operator's.
        """
        connections = at_efforts(at_default_effort(directory.connections), self._trained_names)
        if len(connections) == len(directory.connections):
            return directory
        generation = self._generation
        table = _believed([connection.lane for connection in connections], generation, calibrations)
        is_choosable, _ = choosable_lanes(table)
        ordered, table = _choosable_first(connections, table, is_choosable, generation)
        n_choosable, model = int(is_choosable.sum()), generation.quality_model
        return _directory(ordered, table, n_choosable, model, generation, self._clock, operators)

    def _configured(self, connector: ProviderConnector) -> ProviderConnections:
        """Return the lanes of the settings and of the environment."""
        settings = self._settings
        configured = connector.of_settings(settings, self._environment)
        servers = server_connections(settings.servers, self._http, self._deadlines, connector.prior_of)
        reserves = {provider_id for provider_id, configured in settings.providers.items() if configured.is_reserve}
        reserves |= {server.id for server in settings.servers if server.is_reserve}
        connections = tuple(
            replace(connection, lane=replace(connection.lane, is_reserve=True))
            if connection.lane.provider in reserves
            else connection
            for connection in (*configured.connections, *servers)
        )
        return ProviderConnections(connections, configured.notices, configured.signers)

    def _hosted(self, connection: LaneConnection, *, is_reserve: bool) -> LaneConnection:
        at_cost = connection.lane.price
        price = scaled(at_cost, Decimal(self._settings.hosted_markup), "for hosting")
        return replace(connection, lane=replace(connection.lane, price=price, is_reserve=is_reserve), hosted_at=at_cost)

    def _sandbox_connections(self) -> list[LaneConnection]:
        address = {"openai": ("sandbox:", "sandbox:")}
        return [
            LaneConnection(lane, address, {}, NO_QUIRKS, self._sandbox, self._deadlines) for lane in sandbox_lanes()
        ]

    def _assembled(
        self,
        all_connections: Sequence[LaneConnection],
        notices: Sequence[str],
        signers: tuple[Signer, ...],
        hosts: tuple[LaneDirectories, LaneDirectories] | None = None,
    ) -> LaneAssembly:
        answering = [connection for connection in all_connections if EMBEDDINGS.name not in connection.endpoints]
        connections = at_efforts(answering, self._trained_names)
        embeddings = [connection for connection in all_connections if EMBEDDINGS.name in connection.endpoints]
        generation = self._generation
        calibrations = self.calibrations()
        table = _believed([connection.lane for connection in connections], generation, calibrations)
        is_choosable, notice = choosable_lanes(table)
        ordered, table = _choosable_first(connections, table, is_choosable, generation)
        host, vectors_host = hosts or (None, None)
        n_choosable = int(is_choosable.sum())
        directory = _directory(ordered, table, n_choosable, generation.quality_model, generation, self._clock, host)
        vectors_table = _table([connection.lane for connection in embeddings], ())
        no_model = NoQualityModel(generation.version)
        n_vectors = len(vectors_table)
        vectors = _directory(embeddings, vectors_table, n_vectors, no_model, generation, self._clock, vectors_host)
        return LaneAssembly(directory, vectors, (*notices, *notice), signers)


def _directory(
    connections: Sequence[LaneConnection],
    table: LaneTable,
    n_choosable: int,
    quality_model: QualityModel,
    generation: Generation,
    clock: Clock,
    host: LaneDirectories | None = None,
) -> LaneDirectory:
    prices = PriceTable.from_rows((lane.provider, lane.upstream_model, lane.price) for lane in table.lanes)
    terms = [connection.terms for connection in connections]
    catalogue = None if table.rows is None else generation.bundle.catalogue
    choosable = table.first(n_choosable, quality_model.trained_names, catalogue)
    bar = Bar(choosable, generation.read_reference)
    return LaneDirectory(
        table=table,
        choosable=choosable,
        connections=tuple(connections),
        health=_health(connections, table, terms, clock, host),
        warm_caches=WarmCaches(
            [term.prompt_cache for term in terms],
            clock.monotonic,
            rows_that_share([lane.base_id for lane in table.lanes]),
        ),
        reasoning_affinity=ReasoningAffinity(table),
        price_snapshot_id=prices.snapshot_id,
        bar=bar,
        pin_bar=bar if choosable is table else Bar(table, generation.read_reference),
        quality_model=quality_model,
    )


def _health(
    connections: Sequence[LaneConnection],
    table: LaneTable,
    terms: Sequence[UpstreamTerms],
    clock: Clock,
    host: LaneDirectories | None,
) -> AnyLaneHealth:
    hosted = [connection.hosted_at is not None for connection in connections]
    if host is None or not any(hosted):
        return LaneHealth(table, clock.monotonic, terms)
    operators = host  # a name that cannot be None, for the closure
    return HostedLaneHealth(
        table, clock.monotonic, terms, hosted, lambda: (operators.operators.table, operators.operators.health.own)
    )


def _believed(lanes: Sequence[Lane], generation: Generation, calibrations: Sequence[CalibrationFile]) -> LaneTable:
    return _table(
        generation.believe_of(lanes, calibrations), generation.bundle.trained_names, generation.bundle.catalogue
    )


def choosable_lanes(table: LaneTable) -> tuple[Mask, tuple[str, ...]]:
    """Return which lanes policies may choose, and a notice if the rule had to be widened.

    If no model is known by more than its class, all that are not retired are choosable, so that no account with a key
    is left without an answer.
    """
    is_choosable = table.choosable()
    if is_choosable.any() or not len(table):
        return is_choosable, ()
    is_choosable = np.array([lane.choice != "never" for lane in table.lanes], dtype=np.bool_)
    if not is_choosable.any():
        is_choosable = np.ones(len(table), dtype=np.bool_)
    notice = (
        "No lane's model is known by more than its price, size and family, so smart-route chooses from "
        f"{is_choosable.sum()} lanes by that. Add a provider with better-known models, or calibrate one: "
        "llmdeal calibrate."
    )
    return is_choosable, (notice,)


def _choosable_first(
    connections: Sequence[LaneConnection], table: LaneTable, is_choosable: Mask, generation: Generation
) -> tuple[Sequence[LaneConnection], LaneTable]:
    """Return the lanes with the choosable ones first, always in a new list; otherwise the order stays."""
    if is_choosable.all():
        return list(connections), table
    order = np.argsort(~is_choosable, kind="stable").tolist()
    lanes = [table.lanes[row] for row in order]
    bundle = generation.bundle
    return [connections[row] for row in order], _table(lanes, bundle.trained_names, bundle.catalogue)


def _table(lanes: Sequence[Lane], trained_names: Sequence[str], catalogue: CatalogueModels | None = None) -> LaneTable:
    try:
        return LaneTable.build(lanes, trained_names, catalogue)
    except ValueError as error:
        ids = [lane.lane_id for lane in lanes]
        twice = sorted({lane_id for lane_id in ids if ids.count(lane_id) > 1})
        raise ConfigurationError(f"these lanes are configured twice: {', '.join(twice)}") from error


def _no_keys_notice(key_names: Sequence[str]) -> str:
    shown = ", ".join(key_names[:4])
    return f"No provider key was found. Set one of {shown}, …, or add a [[servers]] entry to llmdeal.toml."
