"""Fits catalogues to parts of the graded work, whole or with a part of the recipe taken out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from training.abilities.abilities import Abilities, AbilitySettings
from training.abilities.graded_columns import read_column
from training.demand.asked_work import AskedWork, ask_catalogue
from training.demand.catalogue import CatalogueData, fit_catalogue, fit_catalogue_abilities
from training.demand.graded_work import GradedWork
from training.demand.kept_aside import GRADED_HERE
from training.demand.network import DemandSettings
from training.network.encoding import EncodedPrompts
from training.network.input_scaler import InputScaler
from training.pools.work_pools import Ints

Advance = Callable[[float], None]
_UNGRADED_STD = 1.0
"""Standard deviation of an ability, in log odds, of which a fit without the factor model knows only the column."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a fit does, and what it leaves out.

    Args:
        abilities, network: Settings of the fits.
        change_data: Function that takes a part out of the data.
        change_prompts: Function that takes a part out of the encoded prompts.
        change_abilities: Function that takes a part out of the fitted abilities, given the work.
    """

    abilities: AbilitySettings
    network: DemandSettings
    change_data: Callable[[CatalogueData, EncodedPrompts], tuple[CatalogueData, EncodedPrompts]] = (
        lambda data, encoded: (data, encoded)
    )
    change_prompts: Callable[[EncodedPrompts], EncodedPrompts] = lambda encoded: encoded
    change_abilities: Callable[[Abilities, GradedWork], Abilities] = lambda abilities, work: abilities


def fit_and_ask(
    data: CatalogueData,
    encoded: EncodedPrompts,
    fitted: Ints,
    asked: Ints,
    recipe: Recipe,
    advance: Advance = lambda share: None,
) -> AskedWork:
    """Fit a catalogue to some of the graded prompts, and return its beliefs about others and all rows of the work.

    Args:
        data: Data of all prompts.
        encoded: Prompts of `training.demand.catalogue.encode_catalogue_data`.
        fitted, asked: Places of graded prompts in `data.work`.
        recipe: Recipe of the fit.
        advance: Function to call after each step of the network's fit, with its share.
    """
    n_graded = len(data.work.prompts)
    work = without_empty_rows(data.work.of_prompts(fitted))
    # Lengths that were computed from the same answers would tell of the prompts that were kept aside.
    verbosity = data.verbosity[~data.verbosity["source"].str.endswith(GRADED_HERE)]
    encoded = recipe.change_prompts(encoded)
    of_fit = encoded.rows(np.r_[fitted, np.arange(n_graded, len(encoded.features))])
    kept, of_fit = recipe.change_data(replace(data, work=work, verbosity=verbosity), of_fit)
    scaler = InputScaler.fit(of_fit)
    abilities = recipe.change_abilities(fit_catalogue_abilities(kept, recipe.abilities), work)
    catalogue = fit_catalogue(kept, of_fit, scaler, abilities, recipe.network, advance)
    return ask_catalogue(catalogue, scaler, encoded.rows(asked), data.work.rows)


def without_empty_rows(work: GradedWork) -> GradedWork:
    """Return the work with only those rows that have a grade."""
    kept = np.flatnonzero(~np.isnan(work.scores).all(axis=0))
    return replace(
        work,
        rows=tuple(work.rows[row] for row in kept),
        scores=work.scores[:, kept],
        tokens=work.tokens[:, kept],
        visible=work.visible[:, kept],
        reasoning=work.reasoning[:, kept],
    )


def _without_scores(data: CatalogueData, encoded: EncodedPrompts) -> tuple[CatalogueData, EncodedPrompts]:
    return replace(data, benchmarks=data.benchmarks.iloc[:0]), encoded


def _without_demands(data: CatalogueData, encoded: EncodedPrompts) -> tuple[CatalogueData, EncodedPrompts]:
    # A single one stays: the network's first values of weak and strong models come from there.
    kept = np.arange(len(data.work.prompts) + 1)
    return replace(data, examples=data.examples.of_prompts(np.arange(1))), encoded.rows(kept)


def _without_marks(encoded: EncodedPrompts) -> EncodedPrompts:
    return replace(encoded, features=np.zeros_like(encoded.features))


def _without_embedding(encoded: EncodedPrompts) -> EncodedPrompts:
    return replace(encoded, embeddings=np.zeros_like(encoded.embeddings))


def own_means(abilities: Abilities, work: GradedWork) -> Abilities:
    """Return abilities by each row's own grades alone; a row without grades in a column is the column's average."""
    means, stds = abilities.means.copy(), abilities.stds.copy()
    place = {row: number for number, row in enumerate(abilities.rows)}
    for number, name in enumerate(abilities.columns):
        column = read_column(work.answers[work.answers["column"] == name])
        means[:, number], stds[:, number] = column.average, _UNGRADED_STD
        rows = [place[row] for row in column.rows]
        means[rows, number] = column.log_odds.clip(-6, 6)
        stds[rows, number] = np.sqrt(column.variances).clip(0, _UNGRADED_STD)
    return replace(abilities, means=means, stds=stds)


def ablations(recipe: Recipe) -> Mapping[str, Recipe]:
    """Return name -> recipe without one part."""
    return MappingProxyType(
        {
            "nothing": recipe,
            "published scores": replace(recipe, change_data=_without_scores),
            "expected demands": replace(recipe, change_data=_without_demands),
            "structural marks": replace(recipe, change_prompts=_without_marks),
            "embedding": replace(recipe, change_prompts=_without_embedding),
            "factor model": replace(recipe, change_abilities=own_means),
        }
    )
