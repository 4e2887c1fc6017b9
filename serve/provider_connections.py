"""Lanes of the providers whose key is there: rows of the catalogue, keys of the environment or the settings, prices of the day."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from router.lane import Lane
from router.price_table import Price, PriceTier
from serve.catalogue.embedding_rows import EmbeddingCatalogue, load_embeddings
from serve.catalogue.model_rows import ModelCatalogue, ModelRow, OfferRow, load_models
from serve.catalogue.price_sources import PriceSources
from serve.catalogue.provider_rows import ProviderRow, load_provider_rows
from serve.dialects.openai.quirks import NO_QUIRKS
from serve.dialects.registry import (
    DIALECT_HEADERS,
    EMBEDDINGS,
    SPOKEN_DIALECTS,
    capabilities_of_dialects,
    endpoint_urls,
    parameters_refused_by,
)
from serve.errors import ConfigurationError
from serve.lane_capabilities import capabilities_named
from serve.lane_directory import LaneConnection
from serve.resources import data_dir
from serve.server_connections import lane_of_server_model
from serve.settings import ProviderSettings, Settings
from serve.upstream.transport import Deadlines, UpstreamTransport
from serve.upstream.upstream_terms import UpstreamTerms

_MOST_ASKED_FOR = ("openai", "openrouter", "groq", "together")


@dataclass(frozen=True, slots=True)
class ProviderConnections:
    """What `connect_providers` found.

    Args:
        connections: One per model and provider whose key is there.
        notices: What was left out, and why.
        key_names: Environment variables that would add providers, those most asked for first.
    """

    connections: tuple[LaneConnection, ...]
    notices: tuple[str, ...]
    key_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Account:
    """A provider with a key of ours."""

    row: ProviderRow
    configured: ProviderSettings
    base_url: str
    price_factor: Decimal
    headers: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.row.id}@{self.configured.account}" if self.configured.account else self.row.id

    @property
    def terms(self) -> UpstreamTerms:
        """How the provider limits, refuses and caches on this account."""
        return self.row.terms(self.configured.requests_per_minute, self.configured.tokens_per_minute)

    @property
    def own_embeddings(self) -> frozenset[str]:
        """Ids of the lanes that the operator listed as embedding models."""
        return frozenset(
            f"{self.name}/{served.upstream_model}" for served in self.configured.models if served.kind == "embedding"
        )


def connect_providers(
    settings: Settings,
    environment: Mapping[str, str],
    transport: UpstreamTransport,
    deadlines: Deadlines,
    now: datetime,
) -> ProviderConnections:
    """Return the lanes of every provider whose key is in the environment or in the settings. Does no network call.

    Raises:
        ConfigurationError: The settings name an unknown provider or region, or a row of the catalogue is malformed.
    """
    rows = load_provider_rows(data_dir() / "providers")
    _check_known(settings, rows)
    notices: list[str] = []
    accounts = [account for row in rows if (account := _open_account(row, settings, environment, notices)) is not None]
    connections: list[LaneConnection] = []
    if accounts:
        catalogue = load_models(data_dir() / "models.yaml")
        prices = PriceSources(now)
        embeddings = load_embeddings(data_dir() / "embeddings.yaml")
        for account in accounts:
            connections += _embedding_connections(account, embeddings, prices, transport, deadlines)
            lanes = [*_catalogue_lanes(account, catalogue, prices, notices), *_own_lanes(account, now)]
            if not lanes:
                notices.append(
                    f"{account.row.name}: no model is listed for it; list yours under [[providers.{account.row.id}.models]]."
                )
            connections += [_connect(account, lane, catalogue, transport, deadlines) for lane in lanes]
    asked = sorted(
        (row for row in rows if row.dialect in SPOKEN_DIALECTS and row.needs_key and row.credentials == "key"),
        key=lambda row: (_MOST_ASKED_FOR.index(row.id) if row.id in _MOST_ASKED_FOR else len(_MOST_ASKED_FOR), row.id),
    )
    return ProviderConnections(tuple(connections), tuple(notices), tuple(row.key_env[0] for row in asked))


def _connect(
    account: _Account, lane: Lane, catalogue: ModelCatalogue, transport: UpstreamTransport, deadlines: Deadlines
) -> LaneConnection:
    row = account.row
    quirks = catalogue.quirks_of(lane.vendor_model, row.quirks.as_quirks())
    region = row.regions.get(account.configured.region) if account.configured.region else None
    if region is not None and region.added_fields:
        quirks = replace(quirks, added_fields=region.added_fields)
    if lane.lane_id in account.own_embeddings:
        endpoints = {EMBEDDINGS: endpoint_urls(EMBEDDINGS, account.base_url, lane.upstream_model)}
        return LaneConnection(lane, endpoints, account.headers, NO_QUIRKS, transport, deadlines, account.terms)
    dialects: tuple[str, ...] = (row.dialect, *row.also_speaks)
    lane = replace(
        lane,
        capabilities=lane.capabilities | capabilities_of_dialects(dialects, lane.vendor_model, quirks),
        refused_parameters=parameters_refused_by(row.dialect, quirks),
    )
    endpoints = {dialect: endpoint_urls(dialect, account.base_url, lane.upstream_model) for dialect in dialects}
    return LaneConnection(lane, endpoints, account.headers, quirks, transport, deadlines, account.terms)


def _check_known(settings: Settings, rows: tuple[ProviderRow, ...]) -> None:
    known = {row.id for row in rows}
    for provider_id in settings.providers:
        if provider_id not in known:
            raise ConfigurationError(
                f"providers.{provider_id}: unknown; known are {', '.join(sorted(known))}; a server of your own goes under [[servers]]"
            )


def _open_account(row: ProviderRow, settings: Settings, environment: Mapping[str, str], notices: list[str]) -> _Account | None:
    configured = settings.providers.get(row.id) or ProviderSettings.model_validate({})
    is_wanted = row.id in settings.providers
    if not configured.is_enabled:
        return None
    provider_key = _find_provider_key(row, configured, environment)
    if provider_key is None and (row.needs_key or not is_wanted):
        if is_wanted:
            notices.append(
                f"{row.name}: no key was found in {configured.key_env or ' or '.join(row.key_env)}; its lanes are left out."
            )
        return None
    if row.dialect not in SPOKEN_DIALECTS:
        notices.append(f"{row.name}: a key was found, but its {row.dialect} dialect is not spoken yet; its lanes are left out.")
        return None
    if row.credentials != "key":
        notices.append(f"{row.name}: signing in with a service account is not possible yet; its lanes are left out.")
        return None
    base_url, price_factor = _host(row, configured)
    if base_url is None:
        notices.append(f"{row.name}: a key was found, but its address is yours alone; set providers.{row.id}.base_url.")
        return None
    headers = {"content-type": "application/json", **DIALECT_HEADERS.get(row.dialect, {}), **row.headers}
    if provider_key:
        headers[row.auth_header] = f"Bearer {provider_key}" if row.auth_header == "authorization" else provider_key
    return _Account(row, configured, base_url, price_factor, headers)


def _find_provider_key(row: ProviderRow, configured: ProviderSettings, environment: Mapping[str, str]) -> str | None:
    if configured.key is not None:
        return configured.key.get_secret_value().strip()
    names = (configured.key_env,) if configured.key_env else row.key_env
    return next((text.strip() for name in names if (text := environment.get(name, "")).strip()), None)


def _host(row: ProviderRow, configured: ProviderSettings) -> tuple[str | None, Decimal]:
    if configured.region is None:
        return configured.base_url or row.base_url, Decimal(1)
    region = row.regions.get(configured.region)
    if region is None:
        offered = ", ".join(row.regions) or "none"
        raise ConfigurationError(
            f"providers.{row.id}.region: {configured.region!r} is not offered by {row.name} (offered: {offered})"
        )
    return configured.base_url or region.base_url or row.base_url, region.price_factor


def _embedding_connections(
    account: _Account, catalogue: EmbeddingCatalogue, prices: PriceSources, transport: UpstreamTransport, deadlines: Deadlines
) -> Iterator[LaneConnection]:
    """Yield the embedding models that the catalogue knows at a provider."""
    row = account.row
    for model in catalogue.models:
        model_id = model.offers.get(row.id)
        price = None if model_id is None else prices.embedding_price_of(row, model_id)
        if model_id is None or price is None:
            continue
        lane = Lane(
            lane_id=f"{account.name}/{model_id}",
            provider=row.id,
            upstream_model=model_id,
            vendor_model=model.model,
            account=account.name,
            price=_scaled(price, account.price_factor),
            context_tokens=model.context_tokens,
            region=account.configured.region or row.region,
            trains_on_data=row.trains_on_data,
            retains_data=row.retains_data,
        )
        endpoints = {EMBEDDINGS: endpoint_urls(EMBEDDINGS, account.base_url, model_id)}
        yield LaneConnection(lane, endpoints, account.headers, NO_QUIRKS, transport, deadlines, account.terms)


def _catalogue_lanes(account: _Account, catalogue: ModelCatalogue, prices: PriceSources, notices: list[str]) -> Iterator[Lane]:
    unpriced = []
    for model in catalogue.models:
        offer = model.offers.get(account.row.id)
        if offer is None:
            continue
        price = prices.price_of(account.row, offer)
        if price is None:
            unpriced.append(offer.model)
        else:
            yield _lane(account, model, offer, _scaled(price, account.price_factor), catalogue)
    if unpriced:
        notices.append(f"{account.row.name}: left out, because no price is known: {', '.join(unpriced)}.")


def _lane(account: _Account, model: ModelRow, offer: OfferRow, price: Price, catalogue: ModelCatalogue) -> Lane:
    row = account.row
    capabilities = capabilities_named((*model.capabilities, *row.adds), f"data/models.yaml: {model.model}")
    return Lane(
        lane_id=f"{account.name}/{offer.model}",
        provider=row.id,
        upstream_model=offer.model,
        vendor_model=model.model,
        account=account.name,
        price=replace(price, cache_write_1h_factor=row.cache_write_1h_factor),
        capabilities=capabilities & ~capabilities_named(row.lacks, f"data/providers/{row.id}.yaml"),
        context_tokens=offer.context_tokens or model.context_tokens,
        max_output_tokens=offer.max_output_tokens or model.max_output_tokens,
        region=account.configured.region or row.region,
        trains_on_data=row.trains_on_data,
        retains_data=row.retains_data,
        trained_name=model.trained_name,
        prior=catalogue.prior_of(model),
    )


def _own_lanes(account: _Account, now: datetime) -> Iterator[Lane]:
    """Models that the operator lists for a provider: deployments of Azure, models of Ollama, what the catalogue does not know yet."""
    for served in account.configured.models:
        yield lane_of_server_model(
            account.row.id,
            account.name,
            served,
            account.configured.region or account.row.region,
            now.date(),
            trains_on_data=account.row.trains_on_data,
            retains_data=account.row.retains_data,
        )


def _scaled(price: Price, factor: Decimal) -> Price:
    """Return the price in a region with an uplift."""
    if factor == 1:
        return price

    def times(rate: Decimal | None) -> Decimal | None:
        return None if rate is None else rate * factor

    return replace(
        price,
        input_usd_per_mtok=price.input_usd_per_mtok * factor,
        output_usd_per_mtok=price.output_usd_per_mtok * factor,
        source=f"{price.source}, times {factor} for the region",
        cached_input_usd_per_mtok=times(price.cached_input_usd_per_mtok),
        cache_write_usd_per_mtok=times(price.cache_write_usd_per_mtok),
        request_usd=price.request_usd * factor,
        tiers=tuple(
            PriceTier(
                tier.above_prompt_tokens,
                tier.input_usd_per_mtok * factor,
                tier.output_usd_per_mtok * factor,
                times(tier.cached_input_usd_per_mtok),
                times(tier.cache_write_usd_per_mtok),
            )
            for tier in price.tiers
        ),
    )
