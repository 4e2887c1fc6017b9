"""Upstream models: `data/models.yaml`, with the capabilities, the providers and the prior of each."""

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from router.lane import Effort, QualityPrior
from serve.catalogue.yaml_file import CatalogueRow, read_rows


class PriorRow(CatalogueRow):
    """The prior of models that the bundle was not trained on."""

    ability: float = Field(
        description="Log odds of a good answer to the average prompt of the shipped bundle's corpus."
    )
    ability_std: float = Field(gt=0)
    general: float = Field(
        ge=0,
        le=1,
        description="The same on the scale of a bundle's catalogue models: 0 is an average open model of 8 billion "
        "parameters of 2025, 1 are the strongest models at the end of 2026.",
    )
    general_std: float = Field(gt=0, le=1)
    basis: str = Field(min_length=10)
    checked_on: date


class OfferRow(CatalogueRow):
    """A model at a provider. In the file, a bare name is short for `{model: name}`."""

    model: str = Field(min_length=1, description="The id sent on the wire.")
    price_id: str | None = Field(None, description="Its id in genai-prices, if that differs.")
    context_tokens: int | None = Field(
        None, ge=1, description="Its context length, if it is shorter than the model's own."
    )
    max_output_tokens: int | None = Field(None, ge=1)
    efforts: tuple[Effort, ...] | None = Field(
        None, description="Efforts of reasoning that it takes here; null: those of the model."
    )


def _offer(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


class ModelRow(CatalogueRow):
    """One model, at any provider."""

    model: str = Field(pattern=r"^[a-z0-9-]+/[a-zA-Z0-9._-]+$", description="vendor/model, the name that callers use.")
    family: str = Field(min_length=2)
    capabilities: tuple[str, ...] | None = Field(None, description="null: those that litellm lists.")
    context_tokens: int | None = Field(None, ge=1)
    max_output_tokens: int | None = Field(None, ge=1)
    refuses: frozenset[str] = Field(
        frozenset(), description="Parameters that it answers with an error; they are never sent to it."
    )
    efforts: tuple[Effort, ...] | None = Field(
        None, description="Efforts of reasoning that a request may ask for by name; null: those that litellm lists."
    )
    takes_thinking_budget: bool = Field(
        False, description="True for Claude before Opus 4.6: thinking is limited in tokens, not by effort."
    )
    trained_name: str | None = Field(None, description="Its name in the shipped bundle, if its answers were graded.")
    prior: str = Field(description="Name of an entry of `priors`.")
    offers: Mapping[str, Annotated[OfferRow, BeforeValidator(_offer)]] = Field(
        {}, description="Provider id -> offer, where the packages do not have it under its usual name."
    )


class ReasoningLimits(CatalogueRow):
    """What models lose while they reason at a named effort."""

    models: str = Field(min_length=1, description="Pattern that their names begin with.")
    providers: tuple[str, ...] = Field((), description="Ids of the providers where they lose it; empty: everywhere.")
    refuses: frozenset[str] = Field(frozenset(), description="Parameters that they answer with an error.")
    lacks: tuple[str, ...] = Field((), description="Capabilities that they lack.")


class ModelCatalogue(CatalogueRow):
    """The whole file."""

    priors: Mapping[str, PriorRow]
    reasoning_limits: tuple[ReasoningLimits, ...] = Field((), description="The first that fits a model counts.")
    models: tuple[ModelRow, ...]

    @model_validator(mode="after")
    def _check_references(self) -> "ModelCatalogue":
        names = [row.model for row in self.models]
        if names != sorted(set(names)):
            misplaced = next(
                name
                for name, wanted in zip(names, sorted(names), strict=True)
                if name != wanted or names.count(name) > 1
            )
            raise ValueError(f"{misplaced} is misplaced or listed twice. Sort the models and list each once.")
        for row in self.models:
            if row.prior not in self.priors:
                raise ValueError(f"{row.model}: there is no prior {row.prior!r}. Use one of: {', '.join(self.priors)}.")
        return self

    def reasoning_limits_of(self, name: str, provider: str) -> ReasoningLimits | None:
        """Return what a model loses at a provider while it reasons at a named effort; None: nothing is known."""
        return next(
            (
                limits
                for limits in self.reasoning_limits
                if re.match(limits.models, name) and provider in (limits.providers or (provider,))
            ),
            None,
        )

    def prior_of(self, row: ModelRow) -> QualityPrior:
        """Return the prior of a model."""
        prior = self.priors[row.prior]
        source = f"{row.prior}: {prior.basis} ({prior.checked_on})"
        return QualityPrior(
            prior.ability, prior.ability_std, source, general=prior.general, general_std=prior.general_std
        )


def load_models(path: Path) -> ModelCatalogue:
    """Read the file.

    Raises:
        ConfigurationError: The file is malformed; the error names the line.
    """
    return read_rows(path, ModelCatalogue)
