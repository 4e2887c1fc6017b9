"""What a bundle states of itself: what it was made from, under which licences, and for which models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from router.bundle import Bundle
from router.catalogue_models import BASES
from training.abilities.licences import SOURCE_LICENCES

_NOT_LISTED = "not listed"
_NO_LICENCE = "none stated"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source that a bundle was fitted to.

    Args:
        source: Name of the source.
        prompts: Number of its prompts.
        licence: Licence of its results; "not listed" if `training.abilities.licences` does not name the source.
        knows: Models that it tells of: "reference models" or "catalogue models".
    """

    source: str
    prompts: int
    licence: str
    knows: str


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """Facts of a bundle.

    Args:
        name: Name of the bundle.
        format_version, features_version: Versions of its format and of its features.
        base: Name of the bundle that it started from; empty: none.
        seed: Seed of its fit.
        sources: Sources that it was fitted to.
        reference_models: Number of models that its graph knows.
        catalogue_models, catalogue_rows: Numbers of catalogue models and of their rows, one a model and effort.
        rows_by_basis: Basis of the belief about a row -> number of rows.
        answers: Number of graded answers that it was fitted to.
        expected_prompts: Number of prompts with expected demands.
    """

    name: str
    format_version: int
    features_version: int
    base: str
    seed: int
    sources: list[SourceFacts]
    reference_models: int
    catalogue_models: int
    catalogue_rows: int
    rows_by_basis: Mapping[str, int]
    answers: int
    expected_prompts: int


def facts_of(bundle: Bundle, manifest: Mapping[str, Any]) -> BundleFacts:
    """Return the facts of a bundle.

    Args:
        bundle: Bundle.
        manifest: Content of its manifest.
    """
    corpus, catalogue = manifest.get("corpus", {}), manifest.get("catalogue") or {}
    reference = {str(name): int(prompts) for name, prompts in corpus.get("sources", {}).items()}
    others = {name: int(prompts) for name, prompts in catalogue.get("prompts", {}).items() if name not in reference}
    rows = bundle.catalogue
    counts = (
        {} if rows is None else {BASES[number]: int((rows.basis == number).sum()) for number in np.unique(rows.basis)}
    )
    return BundleFacts(
        str(manifest["name"]),
        int(manifest["format_version"]),
        int(manifest["features_version"]),
        str(manifest.get("base") or ""),
        int(manifest.get("seed", 0)),
        [
            *(SourceFacts(name, prompts, _licence(name), "reference models") for name, prompts in reference.items()),
            *(SourceFacts(name, prompts, _licence(name), "catalogue models") for name, prompts in others.items()),
        ],
        len(bundle.trained_names),
        int(catalogue.get("models", 0)),
        int(catalogue.get("rows", 0)),
        counts,
        int(catalogue.get("answers", corpus.get("answers", 0))),
        int(catalogue.get("expected_prompts", 0)),
    )


def _licence(source: str) -> str:
    return (SOURCE_LICENCES[source] or _NO_LICENCE) if source in SOURCE_LICENCES else _NOT_LISTED
