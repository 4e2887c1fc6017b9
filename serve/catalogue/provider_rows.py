"""Providers: one YAML file each in `data/providers`. A provider that speaks OpenAI is data, never code."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from router.lane import Effort
from serve.catalogue.dialect_rows import DialectRows, SourceRow
from serve.catalogue.yaml_file import CatalogueRow, read_rows
from serve.dialects.field_table import fields_of
from serve.dialects.quirks import Quirks
from serve.dialects.quirks_row import QuirksRow
from serve.dialects.registry import check_further_dialect, check_main_dialect
from serve.errors import ConfigurationError
from serve.upstream.prompt_cache import PromptCache
from serve.upstream.upstream_terms import UpstreamTerms

MainDialect = Annotated[str, AfterValidator(check_main_dialect)]
FurtherDialect = Annotated[str, AfterValidator(check_further_dialect)]


class RegionRow(CatalogueRow):
    """How inference is kept in one region: by the host, or by a field of the request."""

    base_url: str | None = Field(None, pattern=r"^https://", description="null: the provider's usual one.")
    added_fields: Mapping[str, str] = Field({}, description="Fields that are put into every body.")
    model_prefix: str | None = Field(
        None, description="Prefix of model ids instead of `global.`: an inference profile of the region."
    )
    price_prefix: str | None = Field(
        None, description="The same for the id in the price table; null: the model's own id."
    )
    location: str | None = Field(
        None, description="The provider's own name of the place where requests enter; null: the usual one."
    )
    price_factor: Decimal = Field(Decimal(1), gt=0, description="Factor on all of the provider's rates.")


class PlaceRow(CatalogueRow):
    """A place where a cloud runs inference, by the cloud's own name."""

    region: Literal["eu", "us", "global"] | None = Field(
        description="Region of the place; null: none of these, or unknown."
    )
    base_url: str | None = Field(None, pattern=r"^https://", description="null: the provider's usual one.")
    price_factor: Decimal = Field(Decimal(1), gt=0, description="Factor on all of the provider's rates.")


class AcceptsRow(QuirksRow):
    """What some models of a provider accept otherwise than the others."""

    models: str = Field(description="Pattern that the ids of these models begin with; empty: all others.")
    where: str = Field(min_length=3, description="Source of the row.")
    checked_on: date = Field(description="The day it was read.")


class PromptCacheRow(CatalogueRow):
    """See `serve.upstream.prompt_cache.PromptCache`."""

    is_automatic: bool = Field(description="false: only parts that the request marks are cached.")
    least_tokens: int = Field(ge=1, description="Shorter prompts are not cached.")
    lifetime_s: float = Field(
        gt=0, description="Seconds after the last use; the shortest time that the provider states."
    )


class ProviderRow(CatalogueRow):
    """One provider."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    name: str = Field(min_length=2)
    dialect: MainDialect
    also_speaks: tuple[FurtherDialect, ...] = Field((), description="Further dialects under the same base URL and key.")
    base_url: str | None = Field(
        description="Up to the version, with {project} and {location} if it has them; null: each user's own (Azure)."
    )
    paths: Mapping[str, tuple[str, str]] = Field(
        {},
        description="Dialect -> path of whole answers and path of streams, with {model}; unlisted: the dialect's own.",
    )
    location: str | None = Field(None, description="Value of {location} if the settings give none.")
    location_env: tuple[str, ...] = Field((), description="Environment variables with the location.")
    places: Mapping[str, PlaceRow] = Field({}, description="Known locations; the region of all others is unknown.")
    auth_header: Literal["authorization", "api-key", "x-api-key", "x-goog-api-key"] = Field(
        "authorization", description="authorization: as a bearer token."
    )
    ignores_unknown_fields: bool = Field(
        False, description="Whether fields that it does not know are harmless; false: those of data/fields.yaml go."
    )
    key_env: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="Environment variables with the provider key; the first one wins."),
    ]
    needs_key: bool = True
    credentials: Literal["key", "aws", "google"] = Field(
        "key",
        description="key: the key is sent. aws: requests are signed. google: a service account gets tokens.",
    )
    key_prefix: str | None = Field(None, description="Beginning of its keys; a hint.")
    key_test_path: str | None = Field(
        "/models",
        description="Path below the base URL that answers a valid key, and only a valid key, at no cost; null: none.",
    )
    packaged_prices: str | None = Field(description="Its id in the package genai-prices; null: none there.")
    packaged_ids: str = Field(
        "", description="Pattern of the ids in genai-prices that are its models, if the package mixes providers."
    )
    facts: str | None = Field(None, description="Its id in the package litellm, for what its models can do.")
    efforts: tuple[Effort, ...] | None = Field(
        None, description="Efforts of reasoning that its API takes, at all models; null: those of each model."
    )
    wire_prefixes: tuple[str, ...] = Field(
        ("",),
        min_length=1,
        description="Paths before the ids of the packages on the wire; the first that litellm lists counts.",
    )
    cache_write_1h_factor: Decimal | None = Field(
        None,
        gt=0,
        description="Cost of a one-hour write to the prompt cache, as a factor on the input rate; null: as any write.",
    )
    headers: Mapping[str, str] = Field({}, description="Headers of every call.")
    quirks: QuirksRow = QuirksRow()
    accepts: tuple[AcceptsRow, ...] = Field(
        (),
        description="What its models accept. The first row that fits counts; the last one is its newest family's.",
    )
    limits_each_model: bool = Field(
        False, description="Whether every model has its own rate limits; false: the account's models share them."
    )
    counts_max_output: bool = Field(
        False, description="Whether the longest allowed answer counts against the token limit, not the actual one."
    )
    prompt_cache: PromptCacheRow | None = Field(None, description="null: there is none, or it is undocumented.")
    adds: tuple[str, ...] = Field((), description="Capabilities that all its lanes have.")
    lacks: tuple[str, ...] = Field((), description="Capabilities that none of its lanes has, even if the model can.")
    region: Literal["eu", "us", "global", "local"] | None = Field(
        description="Region where inference runs by default; null: unknown."
    )
    regions: Mapping[Literal["eu", "us"], RegionRow] = {}
    trains_on_data: bool | None = Field(description="null: unknown, counts as yes.")
    retains_data: bool | None = Field(description="null: unknown, counts as yes.")
    sources: Annotated[tuple[SourceRow, ...], Field(min_length=1)]

    @field_validator("accepts")
    @classmethod
    def _fit_every_model(cls, rows: tuple[AcceptsRow, ...]) -> tuple[AcceptsRow, ...]:
        if rows and rows[-1].models:
            raise ValueError("models of a new family have no row. Leave the pattern of the last row empty.")
        return rows

    def quirks_of(self, model_id: str, dialects: DialectRows) -> Quirks:
        """Return what a model of this provider accepts, with the fields that the provider does not know.

        Args:
            model_id: Id of the model without its vendor.
            dialects: Rows of the dialects, which this row and those of its models are added to.

        Raises:
            ConfigurationError: A row names a part of JSON schema that does not exist.
        """
        where = f"data/providers/{self.id}.yaml"
        models = next(((row, where) for row in self.accepts if re.match(row.models, model_id)), None)
        quirks = dialects.quirks_of(self.dialect, (self.quirks, where), *([models] if models else []))
        if self.ignores_unknown_fields:
            return quirks
        unknown = {name: fields_of(name).unknown_to(self.id) for name in (self.dialect, *self.also_speaks)}
        return replace(quirks, unknown_fields={name: fields for name, fields in unknown.items() if fields})

    def has_packaged_id(self, model_id: str) -> bool:
        """Return whether an id of its provider in genai-prices is a model of this provider."""
        return re.search(self.packaged_ids, model_id) is not None

    def terms(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> UpstreamTerms:
        """Return how the provider limits and caches, for an account with these limits (None: unknown)."""
        cache = self.prompt_cache
        return UpstreamTerms(
            limits_each_model=self.limits_each_model,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            counts_max_output=self.counts_max_output,
            prompt_cache=None
            if cache is None
            else PromptCache(cache.is_automatic, cache.least_tokens, cache.lifetime_s),
        )


def load_provider_rows(folder: Path) -> tuple[ProviderRow, ...]:
    """Return all rows, by id.

    Raises:
        ConfigurationError: A file is malformed, or its name is not the provider's id.
    """
    rows = []
    for path in sorted(folder.glob("*.yaml")):
        row = read_rows(path, ProviderRow)
        if row.id != path.stem:
            raise ConfigurationError(f"{path}: id is {row.id!r}: call the file {row.id}.yaml")
        rows.append(row)
    return tuple(rows)
