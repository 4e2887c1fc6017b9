"""Lanes of the operator's own servers, from `[[servers]]` in the settings."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from router.lane import Lane, QualityPrior, Region
from router.price_table import Price
from serve.catalogue.dialect_rows import load_dialect_rows
from serve.dialects.embeddings.dialect import EMBEDDINGS
from serve.dialects.quirks import NO_QUIRKS
from serve.dialects.registry import DIALECTS, capabilities_of_dialects, parameters_refused_by
from serve.errors import ConfigurationError
from serve.lanes.capabilities import capabilities_named
from serve.lanes.directory import LaneConnection
from serve.packaged_files import data_dir
from serve.settings import ServerModelSettings, ServerSettings
from serve.upstream.effort_terms import EffortTerms
from serve.upstream.transport import Deadlines, UpstreamTransport
from serve.upstream.upstream_terms import UpstreamTerms


def server_connections(
    servers: tuple[ServerSettings, ...],
    transport: UpstreamTransport,
    deadlines: Deadlines,
    prior_of: Callable[[str], QualityPrior | None],
) -> list[LaneConnection]:
    """Return one connection per model of each server.

    Args:
        servers: The servers.
        transport: Client that carries the bytes.
        deadlines: Limits of one call.
        today: Day that the operator's prices get.
        prior_of: Function that returns the prior of a vendor's model; None: it is not known.

    Raises:
        ConfigurationError: A capability or a part of JSON schema is unknown, or a server's id is used twice.
    """
    ids = [server.id for server in servers]
    for server_id in ids:
        if ids.count(server_id) > 1:
            raise ConfigurationError(f"two servers have the id {server_id!r}: give each its own")
    rows = load_dialect_rows(data_dir() / "dialects.yaml")
    connections = []
    for server in servers:
        main = DIALECTS[server.dialect]
        headers = {"content-type": "application/json", **main.headers}
        if server.key is not None:
            headers |= main.key_headers(server.key.get_secret_value())
        terms = UpstreamTerms(
            requests_per_minute=server.requests_per_minute, tokens_per_minute=server.tokens_per_minute
        )
        for served in server.models:
            lane = lane_of_server_model(
                server.id, server.id, served, server.region, prior_of, trains_on_data=False, retains_data=False
            )
            if served.kind == "embedding":
                endpoints = {EMBEDDINGS.name: EMBEDDINGS.endpoints(server.base_url, lane.upstream_model)}
                connections.append(LaneConnection(lane, endpoints, headers, NO_QUIRKS, transport, deadlines, terms))
                continue
            dialects = (server.dialect, *server.also_speaks)
            where = f"servers: {server.id}"
            stated = [(row, where) for row in (server.quirks, served.quirks) if row is not None]
            quirks = rows.quirks_of(server.dialect, *stated)
            own = capabilities_of_dialects(dialects, lane.vendor_model, quirks)
            refused = parameters_refused_by(server.dialect, quirks)
            lane = replace(lane, capabilities=lane.capabilities | own, refused_parameters=refused)
            endpoints = {name: DIALECTS[name].endpoints(server.base_url, lane.upstream_model) for name in dialects}
            efforts = EffortTerms(served.efforts)
            connections.append(
                LaneConnection(lane, endpoints, headers, quirks, transport, deadlines, terms, effort_terms=efforts)
            )
    return connections


def lane_of_server_model(
    provider: str,
    account: str,
    served: ServerModelSettings,
    region: Region | None,
    prior_of: Callable[[str], QualityPrior | None],
    *,
    trains_on_data: bool | None,
    retains_data: bool | None,
) -> Lane:
    """Return the lane of a model that the operator listed and priced.

    Without an ability in the settings it has the prior of its `vendor_model`, as at every other host.

    Raises:
        ConfigurationError: A capability is unknown.
    """
    prior = None if served.vendor_model is None else prior_of(served.vendor_model)
    if served.ability is not None:
        prior = QualityPrior(served.ability, served.ability_std, "set by the operator")
    return Lane(
        lane_id=f"{account}/{served.upstream_model}",
        provider=provider,
        upstream_model=served.upstream_model,
        vendor_model=served.vendor_model or f"{provider}/{served.upstream_model}",
        account=account,
        price=Price(
            Decimal(served.input_usd_per_mtok), Decimal(served.output_usd_per_mtok), "set by the operator", None
        ),
        capabilities=capabilities_named(served.capabilities, f"{account}: {served.upstream_model}"),
        context_tokens=served.context_tokens,
        max_output_tokens=served.max_output_tokens,
        region=region,
        trains_on_data=trains_on_data,
        retains_data=retains_data,
        trained_name=served.trained_name,
        prior=prior,
    )
