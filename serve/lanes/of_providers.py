"""Lanes of the providers that have a key, made from the rows of the catalogue and the prices of the day.

A key comes from the environment, from the settings or from the vault.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from router.lane import Lane
from router.price_table import Price
from serve.catalogue.embedding_rows import EmbeddingCatalogue, load_embeddings
from serve.catalogue.model_rows import ModelCatalogue, ModelRow, OfferRow, load_models
from serve.catalogue.price_sources import PriceSources
from serve.catalogue.provider_rows import ProviderRow, load_provider_rows
from serve.dialects.embeddings.dialect import EMBEDDINGS
from serve.dialects.quirks import NO_QUIRKS
from serve.dialects.registry import DIALECTS, capabilities_of_dialects, parameters_refused_by
from serve.errors import ConfigurationError
from serve.lanes.capabilities import capabilities_named
from serve.lanes.directory import LaneConnection
from serve.lanes.of_servers import lane_of_server_model
from serve.packaged_files import data_dir
from serve.provider_keys.accounts import OpenedProviderKey, ProviderAccount, open_accounts, open_stored_account
from serve.settings import Settings
from serve.upstream.effort_terms import NO_EFFORTS, EffortTerms
from serve.upstream.signing.signer import Signer
from serve.upstream.transport import Deadlines, UpstreamTransport

_MOST_ASKED_FOR = ("openai", "openrouter", "groq", "together")


@dataclass(frozen=True, slots=True)
class ProviderConnections:
    """The lanes that `ProviderConnector` made.

    Args:
        connections: Connections, one for each model of each provider with a key.
        notices: Messages for the operator: what was left out, and why.
        signers: Signers with credentials that have to be renewed.
    """

    connections: tuple[LaneConnection, ...]
    notices: tuple[str, ...]
    signers: tuple[Signer, ...]


class ProviderConnector:
    """Makes the lanes of accounts at providers, by the catalogue and the prices of one day. Does no network call.

    Args:
        transport: Client that carries the lanes' bytes.
        deadlines: Limits of one call.
        prices: Function that returns the prices; it is called once, when the first price is needed.

    Raises:
        ConfigurationError: A row of the catalogue is malformed.
    """

    def __init__(self, transport: UpstreamTransport, deadlines: Deadlines, prices: Callable[[], PriceSources]) -> None:
        self._rows = load_provider_rows(data_dir() / "providers")
        self._transport = transport
        self._deadlines = deadlines
        self._open_prices = prices

    @property
    def key_names(self) -> tuple[str, ...]:
        """Environment variables that would add providers, those in most demand first."""
        rows = sorted(
            (row for row in self._rows if row.needs_key and row.credentials == "key"),
            key=lambda row: (
                _MOST_ASKED_FOR.index(row.id) if row.id in _MOST_ASKED_FOR else len(_MOST_ASKED_FOR),
                row.id,
            ),
        )
        return tuple(row.key_env[0] for row in rows)

    def of_settings(self, settings: Settings, environment: Mapping[str, str]) -> ProviderConnections:
        """Return the lanes of every provider that has a key in the environment or in the settings.

        Raises:
            ConfigurationError: The settings name an unknown provider or region, or credentials that cannot be used.
        """
        _check_known(settings, self._rows)
        notices: list[str] = []
        accounts = [account for row in self._rows for account in open_accounts(row, settings, environment, notices)]
        return self._connect_all(accounts, notices)

    def of_stored_keys(self, keys: Sequence[OpenedProviderKey]) -> ProviderConnections:
        """Return the lanes of stored keys. A key that cannot be used is left out, and a notice says why."""
        row_of = {row.id: row for row in self._rows}
        notices: list[str] = []
        accounts = []
        for opened in keys:
            row = row_of.get(opened.key.provider)
            if row is None:
                notices.append(
                    f"{opened.key.provider}: no such provider any more; its stored key {opened.key.name!r} is left out."
                )
            elif (account := open_stored_account(row, opened, notices)) is not None:
                accounts.append(account)
        return self._connect_all(accounts, notices)

    def _connect_all(self, accounts: Sequence[ProviderAccount], notices: list[str]) -> ProviderConnections:
        connections: list[LaneConnection] = []
        for account in accounts:
            vectors = _embedding_connections(account, self._embeddings, self._prices, self._transport, self._deadlines)
            lanes = [
                *_catalogue_lanes(account, self._catalogue, self._prices, notices),
                *_own_lanes(account),
            ]
            if not lanes:
                table = f"[[providers.{account.row.id}.models]]"
                notices.append(f"{account.row.name}: no model is listed for it; list yours under {table}.")
            connections += vectors
            connections += [
                _connect(account, lane, efforts, self._catalogue, self._transport, self._deadlines)
                for lane, efforts in lanes
            ]
        signers = tuple(account.signer for account in accounts if account.signer is not None)
        return ProviderConnections(tuple(connections), tuple(notices), signers)

    @cached_property
    def _catalogue(self) -> ModelCatalogue:
        return load_models(data_dir() / "models.yaml")

    @cached_property
    def _prices(self) -> PriceSources:
        return self._open_prices()

    @cached_property
    def _embeddings(self) -> EmbeddingCatalogue:
        return load_embeddings(data_dir() / "embeddings.yaml")


def _connect(
    account: ProviderAccount,
    lane: Lane,
    efforts: EffortTerms,
    catalogue: ModelCatalogue,
    transport: UpstreamTransport,
    deadlines: Deadlines,
) -> LaneConnection:
    row = account.row
    quirks = catalogue.quirks_of(lane.vendor_model, row.quirks.as_quirks())
    if account.region_row is not None and account.region_row.added_fields:
        quirks = replace(quirks, added_fields={**quirks.added_fields, **account.region_row.added_fields})
    if lane.lane_id in account.own_embeddings:
        endpoints = {EMBEDDINGS.name: EMBEDDINGS.endpoints(account.base_url, lane.upstream_model)}
        return LaneConnection(
            lane, endpoints, account.headers, NO_QUIRKS, transport, deadlines, account.terms, account.signer
        )
    dialects = (row.dialect, *row.also_speaks)
    lane = replace(
        lane,
        capabilities=lane.capabilities | capabilities_of_dialects(dialects, lane.vendor_model, quirks),
        refused_parameters=parameters_refused_by(row.dialect, quirks),
    )
    endpoints = {
        name: DIALECTS[name].endpoints(account.base_url, lane.upstream_model, row.paths.get(name)) for name in dialects
    }
    return LaneConnection(
        lane,
        endpoints,
        account.headers,
        quirks,
        transport,
        deadlines,
        account.terms,
        account.signer,
        effort_terms=efforts,
    )


def _check_known(settings: Settings, rows: tuple[ProviderRow, ...]) -> None:
    ids = {row.id for row in rows}
    for provider_id in settings.providers:
        if provider_id not in ids:
            raise ConfigurationError(
                f"providers.{provider_id}: unknown; known are {', '.join(sorted(ids))}; "
                "a server of your own goes under [[servers]]"
            )


def _embedding_connections(
    account: ProviderAccount,
    catalogue: EmbeddingCatalogue,
    prices: PriceSources,
    transport: UpstreamTransport,
    deadlines: Deadlines,
) -> Iterator[LaneConnection]:
    """Yield the embedding models that the catalogue lists for a provider."""
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
            account=account.pays_as,
            price=scaled(price, account.price_factor),
            context_tokens=model.context_tokens,
            region=account.region,
            trains_on_data=account.trains_on_data,
            retains_data=account.retains_data,
        )
        endpoints = {EMBEDDINGS.name: EMBEDDINGS.endpoints(account.base_url, model_id)}
        yield LaneConnection(
            lane, endpoints, account.headers, NO_QUIRKS, transport, deadlines, account.terms, account.signer
        )


def _catalogue_lanes(
    account: ProviderAccount, catalogue: ModelCatalogue, prices: PriceSources, notices: list[str]
) -> Iterator[tuple[Lane, EffortTerms]]:
    unpriced = []
    for model in catalogue.models:
        offer = model.offers.get(account.row.id)
        if offer is None:
            continue
        price = prices.price_of(account.row, account.priced_as(offer))
        if price is None:
            unpriced.append(offer.model)
        else:
            lane = _lane(account, model, offer, scaled(price, account.price_factor), catalogue)
            yield lane, _effort_terms(model, offer)
    if unpriced:
        notices.append(f"{account.row.name}: left out, because no price is known: {', '.join(unpriced)}.")


def _lane(account: ProviderAccount, model: ModelRow, offer: OfferRow, price: Price, catalogue: ModelCatalogue) -> Lane:
    row = account.row
    capabilities = capabilities_named((*model.capabilities, *row.adds), f"data/models.yaml: {model.model}")
    model_id = account.model_id(offer.model)
    return Lane(
        lane_id=f"{account.name}/{model_id}",
        provider=row.id,
        upstream_model=model_id,
        vendor_model=model.model,
        account=account.pays_as,
        price=price.with_hour_factor(row.cache_write_1h_factor),
        capabilities=capabilities & ~capabilities_named(row.lacks, f"data/providers/{row.id}.yaml"),
        context_tokens=offer.context_tokens or model.context_tokens,
        max_output_tokens=offer.max_output_tokens or model.max_output_tokens,
        region=account.region_of(model_id),
        trains_on_data=account.trains_on_data,
        retains_data=account.retains_data,
        trained_name=model.trained_name,
        prior=catalogue.prior_of(model),
    )


def _effort_terms(model: ModelRow, offer: OfferRow) -> EffortTerms:
    efforts = model.efforts if offer.efforts is None else offer.efforts
    if not efforts:
        return NO_EFFORTS
    lacks = capabilities_named(offer.reasoning_lacks, f"data/models.yaml: {model.model}: {offer.model}")
    return EffortTerms(efforts, model.reasoning_refuses, lacks)


def _own_lanes(account: ProviderAccount) -> Iterator[tuple[Lane, EffortTerms]]:
    """Yield the lanes of models that the operator lists for a provider.

    Examples: deployments of Azure, models of Ollama, models that the catalogue does not list yet.
    """
    for served in account.configured.models:
        lane = lane_of_server_model(
            account.row.id,
            account.name,
            served,
            account.region,
            trains_on_data=account.trains_on_data,
            retains_data=account.retains_data,
        )
        yield replace(lane, account=account.pays_as), EffortTerms(served.efforts)


def scaled(price: Price, factor: Decimal, reason: str = "for the region") -> Price:
    """Return a price times a factor. The price's source then names the factor and the reason."""
    if factor == 1:
        return price
    return price.times(factor, f"{price.source}, times {factor} {reason}")
