"""Lanes of the providers that have a key, made from the rows of the catalogue and the prices of the day.

A key comes from the environment, from the settings or from the vault.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property

from router.lane import Capability, Effort, Lane, QualityPrior
from router.model_name import model_name
from router.price_table import Price
from serve.catalogue.catalogue import Catalogue, CatalogueModel, load_catalogue
from serve.catalogue.dialect_rows import load_dialect_rows
from serve.catalogue.embedding_rows import EmbeddingCatalogue, load_embeddings
from serve.catalogue.price_sources import PriceSources
from serve.catalogue.provider_rows import ProviderRow, load_provider_rows
from serve.dialects.embeddings.dialect import EMBEDDINGS
from serve.dialects.quirks import NO_QUIRKS, Quirks
from serve.dialects.registry import DIALECTS, capabilities_of_dialects, parameters_refused_by
from serve.dialects.responses.dialect import RESPONSES
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

UNLISTED_SOURCE = "assumed by the operator for unlisted models"
"""Source of the price of a model that no list has."""
_FREE = ":free"
_FREE_SOURCE = "openrouter.ai/docs, model variants: :free costs nothing"
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
        today: Day that decides which models are retired.
        chooses_all: Whether policies may choose every priced model that is not retired; False: only those with a row
            in `data/models.yaml`, and those that the bundle knows.

    Raises:
        ConfigurationError: A row of the catalogue is malformed.
    """

    def __init__(
        self,
        transport: UpstreamTransport,
        deadlines: Deadlines,
        prices: Callable[[], PriceSources],
        today: date,
        *,
        chooses_all: bool = False,
    ) -> None:
        self._rows = load_provider_rows(data_dir() / "providers")
        self._dialects = load_dialect_rows(data_dir() / "dialects.yaml")
        self._transport = transport
        self._deadlines = deadlines
        self._open_prices = prices
        self._today = today
        self._chooses_all = chooses_all

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
            models = {lane.lane_id: (lane, model) for lane, model in self._catalogue_lanes(account, notices)}
            own = {lane.lane_id: lane for lane in self._own_lanes(account)}
            lanes = [lane for lane, _ in models.values() if lane.lane_id not in own] + list(own.values())
            if not lanes:
                table = f"[[providers.{account.row.id}.models]]"
                notices.append(f"{account.row.name}: no model is listed for it; list yours under {table}.")
            connections += vectors
            efforts_of = {
                f"{account.name}/{served.upstream_model}": served.efforts for served in account.configured.models
            }
            own_quirks = {f"{account.name}/{own.upstream_model}": own.quirks for own in account.configured.models}
            sibling = self._sibling(account)
            for lane in lanes:
                _, model = models.get(lane.lane_id, (lane, None))
                usual = account.row.quirks_of(_name_of(lane), self._dialects)
                if (stated := own_quirks.get(lane.lane_id)) is not None:
                    usual = stated.added_to(usual, self._dialects.schema_subsets, f"providers.{account.row.id}.models")
                quirks = (
                    self._catalogue.quirks_of(model_name(lane.vendor_model), usual)
                    if model is None
                    else model.quirks(usual)
                )
                efforts = efforts_of.get(lane.lane_id) or (() if model is None else model.efforts)
                terms = self._effort_terms(model_name(lane.vendor_model), account.row, efforts)
                dialects = _dialects_of(account.row, model)
                connection = _connect(account, lane, quirks, terms, dialects, self._transport, self._deadlines)
                connections.append(replace(connection, sibling=sibling))
        signers = tuple(account.signer for account in accounts if account.signer is not None)
        return ProviderConnections(tuple(connections), tuple(notices), signers)

    def _catalogue_lanes(self, account: ProviderAccount, notices: list[str]) -> Iterator[tuple[Lane, CatalogueModel]]:
        """Yield the lanes of the chat models that the account's key can reach, with what the catalogue says of each."""
        unpriced = []
        region = account.region_row
        is_regional = region is not None and region.model_prefix is not None
        for model in self._catalogue.models_of(account.row, is_regional=is_regional):
            price = self._prices.price_of(account.row, account.priced_as(model.offer))
            if price is None and model.offer.model.endswith(_FREE):
                price = Price(Decimal(0), Decimal(0), _FREE_SOURCE, self._prices.published.table.dated)
            if price is not None:
                yield self._lane(account, model, scaled(price, account.price_factor)), model
            elif model.is_own_offer:
                unpriced.append(model.offer.model)
        if unpriced:
            notices.append(f"{account.row.name}: left out, because no price is known: {', '.join(unpriced)}.")

    def _lane(self, account: ProviderAccount, model: CatalogueModel, price: Price) -> Lane:
        row = account.row
        capabilities = capabilities_named((*model.capabilities, *row.adds), f"data/models.yaml: {model.name}")
        model_id = account.model_id(model.offer.model)
        choice = model.choice(self._today, is_free=price.input_usd_per_mtok == price.output_usd_per_mtok == 0)
        return Lane(
            lane_id=f"{account.name}/{model_id}",
            provider=row.id,
            upstream_model=model_id,
            vendor_model=model.name,
            account=account.pays_as,
            price=price.with_hour_factor(row.cache_write_1h_factor),
            capabilities=capabilities & ~capabilities_named(row.lacks, f"data/providers/{row.id}.yaml"),
            context_tokens=model.context_tokens,
            max_output_tokens=model.max_output_tokens,
            region=account.region_of(model_id),
            trains_on_data=account.trains_on_data,
            retains_data=account.retains_data,
            trained_name=None if model.row is None else model.row.trained_name,
            prior=self._catalogue.prior_of(model.name),
            choice="always" if self._chooses_all and choice == "if_known" else choice,
            is_alternate=model.is_alternate,
            deprecated_on=model.retired_on(self._today),
        )

    def _effort_terms(self, name: str, provider: ProviderRow, efforts: tuple[Effort, ...]) -> EffortTerms:
        """Return how a model takes these efforts of reasoning at a provider."""
        limits = self._catalogue.rows.reasoning_limits_of(name, provider.id) if efforts else None
        if limits is None:
            return EffortTerms(efforts) if efforts else NO_EFFORTS
        lacks = capabilities_named(limits.lacks, f"data/models.yaml: reasoning_limits: {limits.models}")
        return EffortTerms(efforts, limits.refuses, lacks)

    def _own_lanes(self, account: ProviderAccount) -> Iterator[Lane]:
        """Yield the lanes of models that the operator lists for a provider.

        Examples: deployments of Azure, models of Ollama, models that the catalogue does not list yet.
        """
        for served in account.configured.models:
            lane = lane_of_server_model(
                account.row.id,
                account.name,
                served,
                account.region,
                self.prior_of,
                trains_on_data=account.trains_on_data,
                retains_data=account.retains_data,
            )
            yield replace(lane, account=account.pays_as)

    def _sibling(self, account: ProviderAccount) -> Callable[[str], LaneConnection] | None:
        """Return what makes the lane of a model that no list has; None: the operator names no price for it."""
        rates = account.configured.unlisted_input_usd_per_mtok, account.configured.unlisted_output_usd_per_mtok
        if rates[0] is None or rates[1] is None:
            return None
        price = Price(Decimal(rates[0]), Decimal(rates[1]), UNLISTED_SOURCE, None)

        def connect(model_id: str) -> LaneConnection:
            model = self._catalogue.unlisted(account.row, model_id)
            lane = replace(self._lane(account, model, price), choice="never")
            quirks = model.quirks(account.row.quirks_of(_name_of(lane), self._dialects))
            terms = self._effort_terms(model.name, account.row, model.efforts)
            dialects = _dialects_of(account.row, model)
            connection = _connect(account, lane, quirks, terms, dialects, self._transport, self._deadlines)
            return replace(connection, sibling=connect)

        return connect

    def prior_of(self, vendor_model: str) -> QualityPrior | None:
        """Return the prior of a model, whoever hosts it; None: neither a row nor a package has it."""
        return self._catalogue.prior_of(model_name(vendor_model))

    @cached_property
    def _catalogue(self) -> Catalogue:
        return load_catalogue(data_dir(), self._prices)

    @cached_property
    def _prices(self) -> PriceSources:
        return self._open_prices()

    @cached_property
    def _embeddings(self) -> EmbeddingCatalogue:
        return load_embeddings(data_dir() / "embeddings.yaml")


def _name_of(lane: Lane) -> str:
    """Return the name of a lane's model without its vendor; quirks of models are looked up by it."""
    return lane.vendor_model.rpartition("/")[2]


def _dialects_of(row: ProviderRow, model: CatalogueModel | None) -> tuple[str, ...]:
    """Return the dialects of a model at a provider; None: the operator lists it, so it speaks all of them."""
    dialects = (row.dialect, *row.also_speaks)
    needs_responses = model is not None and model.needs_responses and RESPONSES.name in dialects
    return (RESPONSES.name,) if needs_responses else dialects


def _lost_by(dialects: tuple[str, ...]) -> Capability:
    """Return what a provider's lanes have, but no request of these dialects can ask for."""
    is_alone = dialects == (RESPONSES.name,)
    return Capability.MULTIPLE_CHOICES | Capability.LOGPROBS | Capability.AUDIO if is_alone else Capability.NONE


def _connect(
    account: ProviderAccount,
    lane: Lane,
    quirks: Quirks,
    efforts: EffortTerms,
    dialects: tuple[str, ...],
    transport: UpstreamTransport,
    deadlines: Deadlines,
) -> LaneConnection:
    row = account.row
    if account.region_row is not None and account.region_row.added_fields:
        quirks = replace(quirks, added_fields={**quirks.added_fields, **account.region_row.added_fields})
    if lane.lane_id in account.own_embeddings:
        endpoints = {EMBEDDINGS.name: EMBEDDINGS.endpoints(account.base_url, lane.upstream_model)}
        return LaneConnection(
            lane, endpoints, account.headers, NO_QUIRKS, transport, deadlines, account.terms, account.signer
        )
    lane = replace(
        lane,
        capabilities=(lane.capabilities & ~_lost_by(dialects))
        | capabilities_of_dialects(dialects, lane.vendor_model, quirks),
        refused_parameters=parameters_refused_by(dialects[0], quirks),
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


def scaled(price: Price, factor: Decimal, reason: str = "for the region") -> Price:
    """Return a price times a factor. The price's source then names the factor and the reason."""
    if factor == 1:
        return price
    return price.times(factor, f"{price.source}, times {factor} {reason}")
