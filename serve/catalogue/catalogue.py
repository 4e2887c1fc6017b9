"""All chat models that a provider's key can reach: those of price tables, and the rows of `data/models.yaml`.

genai-prices lists the models of a provider with their prices, litellm what they can do. Newer tables and providers' own
lists count too, where the gateway has any. A row of `data/models.yaml` adds what none of them has, and overrides what
it states.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from router.lane import Choice, Effort, QualityPrior
from router.model_name import has_variant, model_name
from router.price_table import Price
from serve.catalogue.chat_models import is_chat_model, needs_responses
from serve.catalogue.class_prior import WIDER, class_of
from serve.catalogue.model_facts import NO_FACTS, FactTable, ModelFacts, load_facts
from serve.catalogue.model_rows import ModelCatalogue, ModelRow, OfferRow, load_models
from serve.catalogue.packaged_models import PackagedModel, PackagedModels
from serve.catalogue.provider_rows import ProviderRow
from serve.dialects.quirks import Quirks
from serve.dialects.responses.dialect import RESPONSES

if TYPE_CHECKING:
    from serve.catalogue.packaged_prices import PackagedPrices
    from serve.catalogue.price_sources import PriceSources

_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
_WORLDWIDE, _REGIONAL = "global.", "regional."
_PACKAGED_VENDOR = {"amazon": "aws", "mistralai": "mistral", "z-ai": "zai"}
"""Vendor -> its id in genai-prices, if that differs."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A chat model at a provider.

    Args:
        name: Vendor and model, the same at all hosts.
        offer: Its id on the wire and in the price table, and limits of its own.
        row: Its row in `data/models.yaml`; None: it has none.
        capabilities: Names of its capabilities.
        context_tokens: Longest prompt plus answer; None: unknown.
        max_output_tokens: Longest answer; None: unknown.
        efforts: Efforts of reasoning that a request may ask for by name; empty: none, or they are not known.
        refuses: Parameters that it answers with an error.
        takes_thinking_budget: Whether its thinking is limited in tokens, not by effort.
        deprecated_on: Day on which the provider retires it; None: none is known.
        is_deprecated: Whether a package marks it as deprecated, whatever the day.
        is_alternate: Whether it is another id of a model that the provider has under its usual id.
        is_listed_twice: Whether it is surely still offered: both packages, the provider's own list or a row have it, or
            a table that is newer than the package added it.
        needs_responses: Whether the provider answers it by OpenAI's Responses alone.
    """

    name: str
    offer: OfferRow
    row: ModelRow | None
    capabilities: tuple[str, ...]
    context_tokens: int | None
    max_output_tokens: int | None
    efforts: tuple[Effort, ...]
    refuses: frozenset[str]
    takes_thinking_budget: bool
    deprecated_on: date | None
    is_deprecated: bool
    is_alternate: bool = False
    is_listed_twice: bool = True
    needs_responses: bool = False

    @property
    def is_own_offer(self) -> bool:
        """Whether its row in `data/models.yaml` names this id."""
        return self.row is not None and self.offer.model in {offer.model for offer in self.row.offers.values()}

    def is_retired(self, today: date) -> bool:
        """Return whether the provider has retired it, or has announced that without a day."""
        return self.is_deprecated or (self.deprecated_on is not None and self.deprecated_on <= today)

    def retired_on(self, today: date) -> date | None:
        """Return the day on which the provider retires it; `today` if it is only marked as deprecated; None: none."""
        return today if self.is_deprecated and self.deprecated_on is None else self.deprecated_on

    def choice(self, today: date, *, is_free: bool) -> Choice:
        """Return whether a policy may choose it for a caller who named no model.

        A row of our own, or a bundle that was trained on it, is needed for that. Free offers are left out: providers
        give them on other terms, with small limits.
        """
        if self.is_alternate or is_free or not self.is_listed_twice or self.is_retired(today):
            return "never"
        return "if_known" if self.row is None else "always"

    def quirks(self, of_provider: Quirks) -> Quirks:
        """Return a provider's quirks together with those of this model."""
        return _with_refusals(of_provider, self.refuses, self.takes_thinking_budget)


class Catalogue:
    """Lists the models of providers.

    Args:
        rows: `data/models.yaml`.
        facts: Models that litellm lists.
        prices: Prices, with the tables that list models.
    """

    def __init__(self, rows: ModelCatalogue, facts: FactTable, prices: "PriceSources") -> None:
        self.rows = rows
        self._facts = facts
        self._tables = prices.tables
        self._lists = prices.lists
        self._packaged_models = PackagedModels(prices.tables)
        self._row_of = {model_name(row.model): row for row in rows.models}
        self._models_of: dict[tuple[str, bool], tuple[CatalogueModel, ...]] = {}
        self._priors: dict[str, QualityPrior | None] = {}

    def models_of(self, provider: ProviderRow, *, is_regional: bool = False) -> tuple[CatalogueModel, ...]:
        """Return the chat models of a provider: its rows first, then those of the packages.

        Args:
            provider: The provider.
            is_regional: Whether they run under the inference profiles of a region (Bedrock).
        """
        asked = (provider.id, is_regional)
        if asked not in self._models_of:
            self._models_of[asked] = tuple(self._list(provider, is_regional=is_regional))
        return self._models_of[asked]

    def unlisted(self, provider: ProviderRow, model_id: str) -> CatalogueModel:
        """Return a model that a caller names by the id that the provider takes, with what is known of it elsewhere."""
        offer = _offer(model_id)
        listed = self._facts.of_host(provider.facts, _spellings(provider, model_id))
        return replace(self._model(provider, None, offer, listed, None), is_alternate=True, is_listed_twice=False)

    def prior_of(self, name: str) -> QualityPrior | None:
        """Return the prior of a model: that of its row, else that of its class. None: no table and no row has it.

        The price that decides the class is that of the model's vendor, or else the middle one of all its hosts. So the
        model has the same prior at every host.
        """
        if name not in self._priors:
            self._priors[name] = self._find_prior(name)
        return self._priors[name]

    def _find_prior(self, name: str) -> QualityPrior | None:
        row = self._row_of.get(name)
        if row is not None:
            return self.rows.prior_of(row)
        if name not in self._packaged_models.ids_of and name not in self._listed_output_usd:
            return None
        kind = class_of(name, self.usual_output_usd(name))
        prior = self.rows.priors[kind]
        source = f"class {kind}, by its price, size and generation ({prior.checked_on})"
        return QualityPrior(prior.ability, prior.ability_std * WIDER, source)

    def usual_output_usd(self, name: str) -> float | None:
        """Return the price of a model, USD per million output tokens: that of its vendor, else the middle one."""
        rates: dict[str, float] = {}
        for provider, model_id in self._packaged_models.ids_of.get(name, ()):
            price = None if has_variant(model_id) else self._table_price(provider, model_id)
            if price is not None and price.output_usd_per_mtok > 0:
                rates.setdefault(provider, float(price.output_usd_per_mtok))
        vendor = name.partition("/")[0]
        own = rates.get(_PACKAGED_VENDOR.get(vendor, vendor))
        ordered = sorted(rates.values()) or sorted(self._listed_output_usd.get(name, ()))
        return own if own is not None else ordered[len(ordered) // 2] if ordered else None

    def quirks_of(self, name: str, of_provider: Quirks) -> Quirks:
        """Return a provider's quirks together with those of a model that the operator listed for it."""
        return _with_refusals(of_provider, *self._refusals(name, self._row_of.get(name), NO_FACTS))

    def _list(self, provider: ProviderRow, *, is_regional: bool) -> Iterator[CatalogueModel]:
        own = {
            offer.model: self._of_row(provider, row, offer)
            for row in self.rows.models
            for provider_id, offer in row.offers.items()
            if provider_id == provider.id
        }
        models = {**self._of_package(provider, is_regional=is_regional), **own}
        usual: dict[str, CatalogueModel] = {}
        for model in sorted(models.values(), key=self._usualness):
            usual.setdefault(model.name, model)
        ordered = sorted(models.values(), key=lambda model: (model.offer.model not in own, model.offer.model))
        for model in ordered:
            yield model if usual[model.name] is model else replace(model, is_alternate=True)

    @staticmethod
    def _usualness(model: CatalogueModel) -> tuple[bool, bool, bool, bool, int, str]:
        wire = model.offer.model
        return (
            has_variant(wire),
            not model.is_listed_twice,
            not model.is_own_offer,
            model.is_deprecated,
            len(wire),
            wire,
        )

    def _of_row(self, provider: ProviderRow, row: ModelRow, offer: OfferRow) -> CatalogueModel:
        listed = self._facts.of_host(provider.facts, _spellings(provider, offer.model))
        packaged = self._packaged(provider, offer.price_id or offer.model)
        return self._model(provider, row, offer, listed, packaged)

    def _of_package(self, provider: ProviderRow, *, is_regional: bool) -> dict[str, CatalogueModel]:
        models: dict[str, CatalogueModel] = {}
        speaks_responses = RESPONSES.name in (provider.dialect, *provider.also_speaks)
        own_list = self._lists[provider.id].prices if provider.id in self._lists else {}
        for packaged in self._packaged_models.of_provider(provider.packaged_prices).values():
            model_id = _id_here(packaged.model_id, is_regional=is_regional)
            if model_id is None or not provider.has_packaged_id(model_id):
                continue
            name = model_name(model_id, provider.id)
            wire, listed = self._on_the_wire(provider, model_id, name)
            if not is_chat_model(packaged.model_id, listed, speaks_responses=speaks_responses) or wire in models:
                continue
            row = self._row_of.get(name)
            price_id = None if wire == packaged.model_id else packaged.model_id
            model = self._model(provider, row, _offer(wire, price_id), listed, packaged)
            is_sure = listed is not None if provider.facts else self._facts.is_offered(name)
            models[wire] = replace(model, is_listed_twice=is_sure or packaged.is_new or wire in own_list)
        for wire in own_list:
            listed = self._facts.of_host(provider.facts, (wire,))
            if wire not in models and is_chat_model(wire, listed, speaks_responses=speaks_responses):
                row = self._row_of.get(model_name(wire, provider.id))
                models[wire] = self._model(provider, row, _offer(wire), listed, None)
        return models

    def _on_the_wire(self, provider: ProviderRow, model_id: str, name: str) -> tuple[str, ModelFacts | None]:
        """Return the id that the provider takes, and what is known of it there.

        The package shortens some ids. If litellm does not list an id as it is, its own id of the same model counts.
        """
        spellings = _spellings(provider, model_id)
        for spelling in spellings:
            facts = self._facts.of_host(provider.facts, (spelling,))
            if facts is not None:
                return spelling, facts
        for spelling in self._facts.ids_of(provider.facts, name):
            if _profile(spelling) == _profile(model_id):
                return spelling, self._facts.of_host(provider.facts, (spelling,))
        return spellings[0], None

    def _model(
        self,
        provider: ProviderRow,
        row: ModelRow | None,
        offer: OfferRow,
        listed: ModelFacts | None,
        packaged: PackagedModel | None,
    ) -> CatalogueModel:
        name = model_name(row.model if row is not None else offer.price_id or offer.model, provider.id)
        of_model = self._facts.of_model(name)
        facts = listed or of_model
        stated = None if row is None else row.capabilities
        capabilities = tuple(sorted(facts.capabilities)) if stated is None else stated
        refuses, takes_budget = self._refusals(name, row, facts)
        return CatalogueModel(
            name=name,
            offer=offer,
            row=row,
            capabilities=capabilities,
            context_tokens=offer.context_tokens
            or (row.context_tokens if row is not None else None)
            or (packaged.context_tokens if packaged is not None else None)
            or facts.context_tokens
            or of_model.context_tokens,
            max_output_tokens=offer.max_output_tokens
            or (row.max_output_tokens if row is not None else None)
            or facts.max_output_tokens,
            efforts=self._efforts(provider, row, offer, facts.efforts or of_model.efforts)
            if "reasoning" in capabilities
            else (),
            refuses=refuses,
            takes_thinking_budget=takes_budget,
            deprecated_on=None if listed is None else listed.deprecated_on,
            is_deprecated=packaged is not None and packaged.is_deprecated,
            needs_responses=needs_responses(listed),
        )

    def _refusals(self, name: str, row: ModelRow | None, facts: ModelFacts) -> tuple[frozenset[str], bool]:
        """Return the parameters that a model refuses, and whether its thinking is limited in tokens."""
        of_model = self._facts.of_model(name)
        refuses = frozenset() if row is None else row.refuses
        if not (of_model.takes_sampling and facts.takes_sampling):
            refuses |= _SAMPLING
        thinks = name.startswith("anthropic/") and "reasoning" in facts.capabilities | of_model.capabilities
        takes_budget = thinks and not (facts.adapts_thinking or of_model.adapts_thinking)
        return refuses, takes_budget or (row is not None and row.takes_thinking_budget)

    def _efforts(
        self, provider: ProviderRow, row: ModelRow | None, offer: OfferRow, listed: tuple[Effort, ...]
    ) -> tuple[Effort, ...]:
        """Return the efforts that a model takes at a provider: what a row of ours states counts before the package."""
        own = None if row is None else row.offers.get(provider.id)
        for stated in (offer.efforts, None if own is None else own.efforts):
            if stated is not None:
                return stated
        of_row = None if row is None else row.efforts
        efforts = listed if of_row is None else of_row
        return tuple(effort for effort in efforts if provider.efforts is None or effort in provider.efforts)

    def _packaged(self, provider: ProviderRow, model_id: str) -> PackagedModel | None:
        return self._packaged_models.of_provider(provider.packaged_prices).get(model_id)

    def _table_price(self, provider: str, model_id: str) -> Price | None:
        prices = (table.price_of(provider, model_id) for table in self._prices)
        return next((price for price in prices if price is not None), None)

    @cached_property
    def _prices(self) -> "Sequence[PackagedPrices]":
        """The prices of each table at its own time, so that classes do not change from day to day."""
        from serve.catalogue.packaged_prices import PackagedPrices

        return [
            PackagedPrices(datetime.combine(max(self._facts.read_on, table.dated), time(12), UTC), table)
            for table in self._tables
        ]

    @cached_property
    def _listed_output_usd(self) -> dict[str, list[float]]:
        """Name of a model -> its prices in providers' own lists, USD per million output tokens."""
        rates: dict[str, list[float]] = {}
        for provider_id, of_provider in self._lists.items():
            for model_id, price in of_provider.prices.items():
                if not has_variant(model_id):
                    usd = float(price.output_usd_per_mtok)
                    rates.setdefault(model_name(model_id, provider_id), []).extend([usd] if usd > 0 else [])
        return rates


def _with_refusals(quirks: Quirks, refuses: frozenset[str], takes_thinking_budget: bool) -> Quirks:
    if not (refuses or takes_thinking_budget):
        return quirks
    dropped = quirks.dropped_parameters | refuses
    return replace(quirks, dropped_parameters=dropped, takes_thinking_budget=takes_thinking_budget)


def _spellings(provider: ProviderRow, model_id: str) -> Sequence[str]:
    return [prefix + model_id for prefix in provider.wire_prefixes] if "/" not in model_id else [model_id]


def _profile(model_id: str) -> str:
    """Return the inference profile that an id names (Bedrock); empty: none."""
    first, dot, rest = model_id.partition(".")
    return first if dot and "." in rest and "-" not in first else ""


def _id_here(packaged_id: str, *, is_regional: bool) -> str | None:
    """Return the id of a package's model in a region, or worldwide; None: it is not offered there."""
    if not packaged_id.startswith(_REGIONAL):
        return packaged_id
    return _WORLDWIDE + packaged_id.removeprefix(_REGIONAL) if is_regional else None


def _offer(wire: str, price_id: str | None = None) -> OfferRow:
    return OfferRow(model=wire, price_id=price_id, context_tokens=None, max_output_tokens=None, efforts=None)


@lru_cache(maxsize=2)
def load_catalogue(folder: Path, prices: "PriceSources") -> Catalogue:
    """Return the models by these prices. The rows and the facts are read once: neither changes while a gateway runs.

    Raises:
        ConfigurationError: A file is malformed.
    """
    return Catalogue(_load_rows(folder), load_facts(folder), prices)


@cache
def _load_rows(folder: Path) -> ModelCatalogue:
    return load_models(folder / "models.yaml")
