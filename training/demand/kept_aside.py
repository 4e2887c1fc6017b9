"""Judges catalogue beliefs on prompts that were kept aside, compared with each model's mean in the source."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.abilities.abilities import AbilitySettings
from training.corpus.splits import assign_folds, group_near_duplicates
from training.demand.asked_work import AskedWork, ask_catalogue
from training.demand.catalogue import CatalogueData, encode_catalogue_data, fit_catalogue, fit_catalogue_abilities
from training.demand.graded_work import GradedWork
from training.demand.network import DemandSettings
from training.network.input_scaler import InputScaler
from training.network.static_table import StaticTable

Floats = npt.NDArray[np.float64]
_PARTS, _PARTS_ASIDE = 10, 3
GRADED_HERE = "(this folder)"
"""End of the source of published lengths that were computed from the graded answers themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class WorkAside:
    """Work that was kept aside, and what is believed of it; `n` prompts and `r` rows (models at an effort).

    Args:
        fitted, asked: Work that was fitted to, and work that was kept aside.
        fitted_inputs, asked_inputs: Standardised inputs of their prompts.
        beliefs: Beliefs of the recipe about `asked`.
    """

    fitted: GradedWork
    asked: GradedWork
    fitted_inputs: npt.NDArray[np.float32]
    asked_inputs: npt.NDArray[np.float32]
    beliefs: AskedWork

    @property
    def sources(self) -> list[str]:
        """The sources of the collection that have graded work aside, sorted; not those of the reference models."""
        is_reference = np.isin(self.asked.columns, self.asked.reference_columns)
        is_graded = np.isfinite(self.asked.scores).any(axis=1)
        return [str(source) for source in np.unique(self.asked.sources[~is_reference & is_graded])]


@dataclass(frozen=True, slots=True)
class KeptAside:
    """Figures of the prompts of one source that were kept aside.

    Args:
        source: Name of the source.
        n_prompts, n_cells: Numbers of prompts and of graded cells.
        brier_mean, brier: Mean squared error of the grade: by the model's mean in the source, and by the catalogue.
        octaves_mean, octaves: Median of |log2(predicted / counted tokens)|, in the same way; NaN: no tokens.
    """

    source: str
    n_prompts: int
    n_cells: int
    brier_mean: float
    brier: float
    octaves_mean: float
    octaves: float


def keep_aside(
    data: CatalogueData,
    table: StaticTable,
    seed: int,
    abilities: AbilitySettings | None = None,
    settings: DemandSettings | None = None,
    advance: Callable[[float], None] = lambda share: None,
) -> WorkAside:
    """Fit the recipe to 70% of the prompts and ask it about the others.

    Args:
        data: Graded work, published figures and prompts with expected demands.
        table: Embedding table.
        seed: Seed of the split.
        abilities, settings: Settings of the fits. None: the defaults.
        advance: Function to call after each step of the network's fit, with its share.
    """
    work = data.work
    part = assign_folds(group_near_duplicates(work.prompts), _PARTS, seed)
    fitted, aside = np.flatnonzero(part >= _PARTS_ASIDE), np.flatnonzero(part < _PARTS_ASIDE)
    # Lengths that were computed from the same answers would tell of the prompts that were kept aside.
    verbosity = data.verbosity[~data.verbosity["source"].str.endswith(GRADED_HERE)]
    of_fitted = replace(data, work=work.of_prompts(fitted), verbosity=verbosity)
    encoded = encode_catalogue_data(data, table)
    of_fit = encoded.rows(np.r_[fitted, np.arange(len(work.prompts), len(encoded.features))])
    scaler = InputScaler.fit(of_fit)
    catalogue = fit_catalogue(
        of_fitted, of_fit, scaler, fit_catalogue_abilities(of_fitted, abilities), settings, advance
    )
    of_asked = encoded.rows(aside)
    return WorkAside(
        of_fitted.work,
        work.of_prompts(aside),
        scaler.transform(encoded.rows(fitted)),
        scaler.transform(of_asked),
        ask_catalogue(catalogue, scaler, of_asked, work.rows),
    )


def judge_kept_aside(
    data: CatalogueData,
    table: StaticTable,
    seed: int,
    abilities: AbilitySettings | None = None,
    settings: DemandSettings | None = None,
    advance: Callable[[float], None] = lambda share: None,
) -> list[KeptAside]:
    """Fit to 70% of the prompts and judge on the others; near-duplicates stay together.

    The mean is told which source a prompt is from. The catalogue reads the text alone.

    Args:
        data: Graded work of all sources.
        table: Embedding table.
        seed: Seed of the split.
        abilities, settings: Settings of the fits. None: the defaults.
        advance: Function to call after each step of the network's fit, with its share.
    """
    aside = keep_aside(data, table, seed, abilities, settings, advance)
    known_work, asked_work = aside.fitted, aside.asked
    chance, tokens = aside.beliefs.chance, aside.beliefs.visible + aside.beliefs.reasoning
    results = []
    for source in np.unique(data.work.sources):
        before, now = known_work.sources == source, asked_work.sources == source
        if np.isnan(asked_work.scores[now]).all():
            continue
        score, counted = asked_work.scores[now].astype(np.float64), asked_work.tokens[now].astype(np.float64)
        mean = row_means(known_work.scores[before].astype(np.float64))
        mean_tokens = np.exp(row_means(np.log(np.maximum(known_work.tokens[before].astype(np.float64), 1))))
        results.append(
            KeptAside(
                str(source),
                int(now.sum()),
                int((~np.isnan(score)).sum()),
                float(np.nanmean((mean - score) ** 2)),
                float(np.nanmean((chance[now] - score) ** 2)),
                _octaves(mean_tokens, counted),
                _octaves(tokens[now], counted),
            )
        )
    return results


def as_table(results: list[KeptAside]) -> pd.DataFrame:
    """Return the results as a table, one row a source."""
    return pd.DataFrame(
        [[getattr(each, name) for name in KeptAside.__slots__] for each in results], columns=list(KeptAside.__slots__)
    ).set_index("source")


def row_means(values: Floats) -> Floats:
    """Return each row's mean over its answers, and the mean of all for rows without any, shape (r,)."""
    counts = (~np.isnan(values)).sum(axis=0)
    means = np.nansum(values, axis=0) / np.maximum(counts, 1)
    overall = float(np.nanmean(values)) if counts.any() else np.nan
    return np.where(counts > 0, means, overall)


def _octaves(predicted: Floats, counted: Floats) -> float:
    is_there = np.isfinite(counted)
    if not is_there.any():
        return float("nan")
    differences = np.abs(np.log2(np.maximum(predicted, 1)) - np.log2(np.maximum(counted, 1)))
    return float(np.median(np.broadcast_to(differences, counted.shape)[is_there]))
