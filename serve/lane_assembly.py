"""Makes the lanes of this process: providers whose key is there, the operator's own servers, and the sandbox when there is nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from router.bar import Bar
from router.bundle import Bundle
from router.lane import Lane
from router.lane_table import LaneTable
from router.price_table import PriceTable
from serve.calibration.calibration_file import calibrations_folder, read_calibrations
from serve.calibration.placing import place_lanes
from serve.clock import Clock
from serve.dialects.openai.quirks import NO_QUIRKS
from serve.dialects.registry import EMBEDDINGS
from serve.errors import ConfigurationError
from serve.lane_directory import LaneConnection, LaneDirectory
from serve.price_prior import with_price_prior
from serve.provider_connections import ProviderConnections, connect_providers
from serve.sandbox.lanes import sandbox_lanes
from serve.sandbox.transport import SandboxTransport
from serve.server_connections import server_connections
from serve.settings import Settings
from serve.upstream.http_transport import HttpTransport
from serve.upstream.lane_health import LaneHealth
from serve.upstream.signing.signer import Signer
from serve.upstream.thought_homes import ThoughtHomes
from serve.upstream.transport import Deadlines, UpstreamTransport
from serve.upstream.warm_caches import WarmCaches


@dataclass(frozen=True, slots=True)
class LaneAssembly:
    """What `assemble_lanes` made.

    Args:
        directory: The lanes that answer.
        embeddings: The lanes that make vectors.
        transports: To be closed by whoever runs the gateway.
        notices: What the operator should know.
        signers: Credentials to be kept fresh by whoever runs the gateway.
    """

    directory: LaneDirectory
    embeddings: LaneDirectory
    transports: tuple[UpstreamTransport, ...]
    notices: tuple[str, ...]
    signers: tuple[Signer, ...]


def assemble_lanes(settings: Settings, environment: Mapping[str, str], bundle: Bundle, clock: Clock) -> LaneAssembly:
    """Return all lanes that can be used now. Does no network call.

    Raises:
        ConfigurationError: Settings or catalogue are wrong, or there is no lane and the sandbox is off.
    """
    http = HttpTransport()
    deadlines = Deadlines(settings.connect_timeout_s, settings.read_timeout_s, settings.total_timeout_s)
    today = clock.now().date()
    from_providers: ProviderConnections = connect_providers(settings, environment, http, deadlines, clock.now())
    found = [*from_providers.connections, *server_connections(settings.servers, http, deadlines, today)]
    connections = [connection for connection in found if EMBEDDINGS not in connection.endpoints]
    embeddings = [connection for connection in found if EMBEDDINGS in connection.endpoints]
    notices = list(from_providers.notices)
    transports: list[UpstreamTransport] = [http]
    if settings.sandbox == "on" or (settings.sandbox == "auto" and not connections):
        if not connections:
            notices.insert(
                0,
                f"{_no_keys_notice(from_providers.key_names)} Until then answers come from the built-in sandbox and are simulated.",
            )
        sandbox = SandboxTransport(settings.sandbox_pace)
        transports.append(sandbox)
        connections += [
            LaneConnection(lane, {"openai": ("sandbox:", "sandbox:")}, {}, NO_QUIRKS, sandbox, deadlines)
            for lane in sandbox_lanes()
        ]
    if not connections:
        raise ConfigurationError(f"there is no lane: {_no_keys_notice(from_providers.key_names)} The sandbox is off.")
    calibrations = read_calibrations(calibrations_folder(settings.calibrations, environment))
    known = [with_price_prior(connection.lane, bundle) for connection in connections]
    lanes = place_lanes(known, calibrations, bundle)
    connections = [replace(connection, lane=lane) for connection, lane in zip(connections, lanes, strict=True)]
    directory = _directory(connections, bundle.trained_names, bundle, clock)
    vectors = _directory(embeddings, (), bundle, clock)
    return LaneAssembly(directory, vectors, tuple(transports), tuple(notices), from_providers.signers)


def _directory(
    connections: Sequence[LaneConnection], trained_names: Sequence[str], bundle: Bundle, clock: Clock
) -> LaneDirectory:
    lanes = [connection.lane for connection in connections]
    table = _table(lanes, trained_names)
    prices = PriceTable.from_rows((lane.provider, lane.upstream_model, lane.price) for lane in lanes)
    bar = Bar(table, bundle.read_reference)
    terms = [connection.terms for connection in connections]
    health = LaneHealth(table, clock.monotonic, terms)
    warm_caches = WarmCaches([term.prompt_cache for term in terms], clock.monotonic)
    return LaneDirectory(table, tuple(connections), health, warm_caches, ThoughtHomes(table), prices.snapshot_id, bar)


def _table(lanes: list[Lane], trained_names: Sequence[str]) -> LaneTable:
    try:
        return LaneTable.build(lanes, trained_names)
    except ValueError:
        ids = [lane.lane_id for lane in lanes]
        twice = sorted({lane_id for lane_id in ids if ids.count(lane_id) > 1})
        raise ConfigurationError(f"these lanes are configured twice: {', '.join(twice)}") from None


def _no_keys_notice(key_names: Sequence[str]) -> str:
    shown = ", ".join(key_names[:4])
    return f"No provider key was found. Set one of {shown}, …, or add a [[servers]] entry to llmdeal.toml."
