"""Providers: one YAML file each in `data/providers`. A provider that speaks OpenAI is data, never code."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from serve.catalogue.yaml_file import CatalogueRow, read_rows
from serve.dialects.quirks import Quirks, StreamUsage
from serve.dialects.registry import check_further_dialect, check_main_dialect
from serve.errors import ConfigurationError
from serve.upstream.prompt_cache import PromptCache
from serve.upstream.refusals import Refusal, RefusalMeaning
from serve.upstream.upstream_terms import UpstreamTerms

MainDialect = Annotated[str, AfterValidator(check_main_dialect)]
FurtherDialect = Annotated[str, AfterValidator(check_further_dialect)]


class SourceRow(CatalogueRow):
    """Where facts were read, and when."""

    read: str = Field(min_length=3, description="Which facts.")
    where: str = Field(min_length=3, description="Page, package with version, or 'unverified'.")
    checked_on: date = Field(description="The day it was read.")


class RegionRow(CatalogueRow):
    """How inference is kept in one region: by a host, or by a word in the request."""

    base_url: str | None = Field(None, pattern=r"^https://", description="null: the provider's usual one.")
    added_fields: Mapping[str, str] = Field({}, description="Put into every body.")
    model_prefix: str | None = Field(
        None, description="In place of `global.` before model ids: an inference profile of the region."
    )
    price_prefix: str | None = Field(
        None, description="The same for the id that prices are known by; null: the model's own."
    )
    location: str | None = Field(
        None, description="The provider's own name for where requests enter; null: as for all."
    )
    price_factor: Decimal = Field(Decimal(1), gt=0, description="On all of the provider's rates.")


class PlaceRow(CatalogueRow):
    """Where a cloud runs inference, by its own name for the place."""

    region: Literal["eu", "us", "global"] | None = Field(description="null: neither, or unknown.")
    base_url: str | None = Field(None, pattern=r"^https://", description="null: the provider's usual one.")
    price_factor: Decimal = Field(Decimal(1), gt=0, description="On all of the provider's rates.")


class QuirksRow(CatalogueRow):
    """See `serve.dialects.quirks.Quirks`."""

    renamed_parameters: Mapping[str, str] = {}
    dropped_parameters: frozenset[str] = frozenset()
    tool_choice: Mapping[str, str] = {}
    stream_usage: StreamUsage = "request"
    rejects_empty_tool_calls: bool = False
    is_reasoning_outside: bool = False
    keeps_cache_control: bool = False
    kept_thoughts: frozenset[str] = frozenset()
    extra_parameters: frozenset[str] = frozenset()
    added_fields: Mapping[str, str] = {}

    def as_quirks(self) -> Quirks:
        """Return what the dialect works with."""
        return Quirks(**{name: getattr(self, name) for name in type(self).model_fields})


class RefusalRow(CatalogueRow):
    """See `serve.upstream.refusals.Refusal`."""

    status: int = Field(ge=400, le=599)
    says: str = Field("", description="A word of the body, or of the header x-amzn-errortype; empty: any body.")
    means: RefusalMeaning


class PromptCacheRow(CatalogueRow):
    """See `serve.upstream.prompt_cache.PromptCache`."""

    is_automatic: bool = Field(description="false: only what the request marks is cached.")
    least_tokens: int = Field(ge=1, description="Shorter prompts are not cached.")
    lifetime_s: float = Field(gt=0, description="Seconds after the last use; the least that the provider states.")


class ProviderRow(CatalogueRow):
    """One provider."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    name: str = Field(min_length=2)
    dialect: MainDialect
    also_speaks: tuple[FurtherDialect, ...] = Field((), description="Further dialects under the same base URL and key.")
    base_url: str | None = Field(
        description="Up to the version, with {project} and {location} where it has them; null: each user's own (Azure)."
    )
    paths: Mapping[str, tuple[str, str]] = Field(
        {}, description="Dialect -> where it answers and where it streams, with {model}; unlisted: as the dialect does."
    )
    location: str | None = Field(None, description="What {location} is where nobody says.")
    location_env: tuple[str, ...] = Field((), description="Environment variables that say.")
    places: Mapping[str, PlaceRow] = Field({}, description="What is known of locations; of others, no region.")
    auth_header: Literal["authorization", "api-key", "x-api-key", "x-goog-api-key"] = Field(
        "authorization", description="authorization: as a bearer token."
    )
    key_env: Annotated[
        tuple[str, ...], Field(min_length=1, description="Environment variables of the provider key, first wins.")
    ]
    needs_key: bool = True
    credentials: Literal["key", "aws", "google"] = Field(
        "key",
        description="key: sent as it is. aws: requests are signed. google: a service account signs in for tokens.",
    )
    key_prefix: str | None = Field(None, description="How its keys begin; a hint.")
    key_test_path: str | None = Field(
        "/models", description="Under the base URL, what can be got for nothing with a good key alone; null: nothing."
    )
    packaged_prices: str | None = Field(description="Its id in the package genai-prices; null: none there.")
    cache_write_1h_factor: Decimal | None = Field(
        None,
        gt=0,
        description="What writing to the prompt cache for an hour costs, in times the input rate; null: like any other write.",
    )
    headers: Mapping[str, str] = Field({}, description="Sent with every call.")
    quirks: QuirksRow = QuirksRow()
    limits_each_model: bool = Field(
        False, description="Every model has rate limits of its own; false: the account's models share them."
    )
    counts_max_output: bool = Field(
        False, description="The largest answer allowed is held against the token limit, not the one that is given."
    )
    refusals: tuple[RefusalRow, ...] = Field(
        (), description="What some refusals mean, besides their status; the first that fits."
    )
    prompt_cache: PromptCacheRow | None = Field(None, description="null: there is none, or nobody says how it works.")
    adds: tuple[str, ...] = Field((), description="Capabilities that all its lanes have.")
    lacks: tuple[str, ...] = Field(
        (), description="Capabilities that none of its lanes has, whatever the model can do."
    )
    region: Literal["eu", "us", "global", "local"] | None = Field(
        description="Where inference runs by default; null: unknown."
    )
    regions: Mapping[Literal["eu", "us"], RegionRow] = {}
    trains_on_data: bool | None = Field(description="null: unknown, which counts as yes.")
    retains_data: bool | None = Field(description="null: unknown, which counts as yes.")
    sources: Annotated[tuple[SourceRow, ...], Field(min_length=1)]

    def terms(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> UpstreamTerms:
        """Return how the provider limits, refuses and caches, on an account with these limits (None: not known)."""
        cache = self.prompt_cache
        return UpstreamTerms(
            limits_each_model=self.limits_each_model,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            counts_max_output=self.counts_max_output,
            refusals=tuple(Refusal(row.status, row.says, row.means) for row in self.refusals),
            prompt_cache=None
            if cache is None
            else PromptCache(cache.is_automatic, cache.least_tokens, cache.lifetime_s),
        )


def load_provider_rows(folder: Path) -> tuple[ProviderRow, ...]:
    """Return all rows, by id.

    Raises:
        ConfigurationError: A file is malformed, or its name is not its id.
    """
    rows = []
    for path in sorted(folder.glob("*.yaml")):
        row = read_rows(path, ProviderRow)
        if row.id != path.stem:
            raise ConfigurationError(f"{path}: id is {row.id!r}: call the file {row.id}.yaml")
        rows.append(row)
    return tuple(rows)
