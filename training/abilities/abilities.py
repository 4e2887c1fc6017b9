"""Fits the ability of every model in every column of graded work, in log odds.

Rows are models at an effort. Columns are graded work and published benchmarks, and lengths of answers if wanted. What
few grades say about a model is completed by its scores elsewhere, and these by what models of its vendor, line, price,
size and age can do. The statistics are in `factor_model`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.abilities.covariates import CovariateScale
from training.abilities.factor_model import Draws, sample_posterior
from training.abilities.graded_columns import RowName
from training.abilities.list_prices import ListPrices
from training.abilities.model_facts import ModelFacts, read_name
from training.abilities.observations import LENGTH, ColumnTable, observations
from training.abilities.published import EFFORTS
from training.errors import SettingsError

Floats = npt.NDArray[np.float64]
Basis = Literal["own grades", "published scores", "class"]


@dataclass(frozen=True, slots=True)
class AbilitySettings:
    """How abilities are fitted.

    Args:
        n_factors: Dimensions of ability, at least 1.
        n_sweeps: Gibbs sweeps, at least 30; a third of them is warm-up. 1,000 take about ten seconds.
        seed: Seed of the random generator.
    """

    n_factors: int = 6
    n_sweeps: int = 1500
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_factors < 1 or self.n_sweeps < 30:
            raise SettingsError(
                f"n_factors {self.n_factors} and n_sweeps {self.n_sweeps} are too small: give at least 1 and 30"
            )


@dataclass(frozen=True, slots=True)
class Ability:
    """Beliefs about one model at one effort; one entry a column.

    Args:
        means, stds: Log odds of a good answer to the column's prompts, shape (columns,). Log odds of the mean grade.
        length_means, length_stds: Natural logarithm of the mean output tokens, shape (lengths,).
        basis: Ground of the belief about each column, see `Abilities.basis_of`.
    """

    means: Floats
    stds: Floats
    length_means: Floats
    length_stds: Floats
    basis: tuple[Basis, ...]

    def easier_by(self, log_odds: float) -> "Ability":
        """Return the beliefs about prompts that are this much easier than those of the columns."""
        return replace(self, means=self.means + log_odds)

    def chances(self) -> Floats:
        """Return the expected mean grade in each column, 0..1, shape (columns,)."""
        points, weights = np.polynomial.hermite_e.hermegauss(15)
        log_odds = self.means[:, None] + self.stds[:, None] * points
        return np.asarray((1 / (1 + np.exp(-log_odds))) @ weights / weights.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Abilities:
    """Ability of every row in every column.

    Args:
        rows: Names of the rows, sorted.
        columns: Names of the graded columns, sorted.
        means, stds: Log odds of the mean grade on all prompts of a column, shape (rows, columns).
        n_prompts: Prompts of a column that the row's model answered, at any effort, shape (rows, columns).
        n_scores: Published scores of the row's model, at any effort, shape (rows,).
        lengths: Names of the tasks with lengths; empty if no lengths were given.
        length_means, length_stds: Natural logarithm of the mean output tokens, shape (rows, lengths).
        facts: Facts of each model of the fit.
        scale: Rule by which facts become covariates.
        draws: Draws of the shared parts, for rows that are not in the fit.
        centres, spreads: Mean and standard deviation of each wanted column, graded columns first.
    """

    rows: tuple[RowName, ...]
    columns: tuple[str, ...]
    means: Floats
    stds: Floats
    n_prompts: npt.NDArray[np.intp]
    n_scores: npt.NDArray[np.intp]
    lengths: tuple[str, ...]
    length_means: Floats
    length_stds: Floats
    facts: Mapping[str, ModelFacts]
    scale: CovariateScale
    draws: Draws
    centres: Floats
    spreads: Floats

    def of(self, model: str, effort: str = "", *, facts: ModelFacts | None = None) -> Ability:
        """Return the ability of any model at any effort.

        - A row of the fit: as fitted.
        - Another effort of a model of the fit: from its rows.
        - Any other model: from `facts`, or from its name alone. This is wider.

        Args:
            model: Name, `vendor/name`.
            effort: One of `EFFORTS`, or "" for the provider's default.
            facts: Facts of a model that is not in the fit, see `read_name`. None: read from the name, without a price.

        Raises:
            SettingsError: The effort is unknown.
        """
        _check_effort(effort)
        basis = self.basis_of(model)
        n = len(self.columns)
        if (model, effort) in self.rows:
            place = self.rows.index((model, effort))
            return Ability(
                self.means[place], self.stds[place], self.length_means[place], self.length_stds[place], basis
            )
        stated = self.facts.get(model) or facts or read_name(model)
        covariates = self.scale.covariates([(stated, effort)])[0]
        mean, std = self.draws.beliefs_of(covariates, self.scale.group_numbers(stated))
        mean, std = mean * self.spreads + self.centres, std * self.spreads
        return Ability(mean[:n], std[:n], mean[n:], std[n:], basis)

    def basis_of(self, model: str) -> tuple[Basis, ...]:
        """Return what the beliefs about a model rest on, in each column.

        - "own grades": grades of the model in that column, at any effort.
        - "published scores": published scores, or grades in another column.
        - "class": its facts alone.
        """
        places = [place for place, row in enumerate(self.rows) if row[0] == model]
        counts = self.n_prompts[places].max(0) if places else np.zeros(len(self.columns), np.intp)
        scored = bool(places) and (counts.sum() > 0 or self.n_scores[places].max() > 0)
        other: Basis = "published scores" if scored else "class"
        return tuple("own grades" if count else other for count in counts)


def fit_abilities(
    graded: pd.DataFrame,
    benchmarks: pd.DataFrame,
    *,
    lengths: pd.DataFrame | None = None,
    wanted: Iterable[RowName] = (),
    facts: Mapping[str, ModelFacts] | None = None,
    price_of: Callable[[str], tuple[float, float] | None] | None = None,
    settings: AbilitySettings | None = None,
) -> Abilities:
    """Fit abilities.

    Args:
        graded: Grades as `read_graded` returns them: columns column, kind, prompt_id, model, effort and score.
        benchmarks: Published scores as `read_benchmarks` returns them; may be empty.
        lengths: Lengths of answers as `read_lengths` returns them. None: no beliefs about lengths.
        wanted: Rows to hold besides those of the tables.
        facts: Facts of some models. The others' are read from their names, with the year of their first score.
        price_of: Function from a model's name to its input and output price in USD per million tokens. None: the list
            prices of the package genai-prices.
        settings: Settings of the fit. None: the defaults.

    Raises:
        SettingsError: There are no grades, a table lacks a column, or an effort in `wanted` is unknown.
    """
    _check_columns("graded", graded, ("column", "kind", "prompt_id", "model", "effort", "score"))
    _check_columns("benchmarks", benchmarks, ("model", "effort", "benchmark", "domain", "log_odds", "year"))
    if lengths is not None:
        _check_columns("lengths", lengths, ("model", "effort", "task", "kind", "log_tokens"))
    if graded.empty:
        raise SettingsError("there are no grades to fit abilities to: give at least one graded source")
    settings = settings or AbilitySettings()
    wanted = tuple(wanted)
    for _, effort in wanted:
        _check_effort(effort)
    observed = observations(graded, benchmarks, lengths)
    rows = sorted({*zip(observed["model"], observed["effort"], strict=True), *wanted})
    seen = benchmarks.groupby("model")["year"].min().dropna().to_dict() if len(benchmarks) else {}
    price_of = price_of or ListPrices().price_of
    stated = {
        model: (facts or {}).get(model) or read_name(model, first_seen=seen.get(model), prices=price_of(model))
        for model in sorted({model for model, _ in rows})
    }
    scale = CovariateScale.of([(stated[model], effort) for model, effort in rows])
    columns = ColumnTable(observed)
    table = columns.sparse_table(observed, rows, stated, scale)
    posterior = sample_posterior(table, n_factors=settings.n_factors, n_sweeps=settings.n_sweeps, seed=settings.seed)
    centres, spreads = columns.centres[table.is_wanted], columns.spreads[table.is_wanted]
    means, stds = posterior.means * spreads + centres, posterior.stds * spreads
    n = len(columns.graded)
    return Abilities(
        rows=tuple(rows),
        columns=columns.graded,
        means=means[:, :n],
        stds=stds[:, :n],
        n_prompts=_prompt_counts(graded, rows, columns.graded),
        n_scores=_score_counts(benchmarks, rows),
        lengths=tuple(name.removeprefix(LENGTH) for name in columns.lengths),
        length_means=means[:, n:],
        length_stds=stds[:, n:],
        facts=stated,
        scale=scale,
        draws=posterior.draws,
        centres=centres,
        spreads=spreads,
    )


def _prompt_counts(graded: pd.DataFrame, rows: Sequence[RowName], columns: Sequence[str]) -> npt.NDArray[np.intp]:
    counts = graded.groupby(["model", "column"])["prompt_id"].nunique().unstack(fill_value=0)
    wide = counts.reindex(index=[model for model, _ in rows], columns=list(columns), fill_value=0)
    return wide.to_numpy(np.intp)


def _score_counts(benchmarks: pd.DataFrame, rows: Sequence[RowName]) -> npt.NDArray[np.intp]:
    counts = benchmarks.groupby("model").size()
    return np.asarray(counts.reindex([model for model, _ in rows], fill_value=0), np.intp)


def _check_columns(name: str, table: pd.DataFrame, wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        raise SettingsError(f"the table {name} has no column {missing[0]!r}: give {', '.join(wanted)}")


def _check_effort(effort: str) -> None:
    if effort not in ("", *EFFORTS):
        raise SettingsError(f"effort {effort!r} is unknown: give one of {', '.join(EFFORTS)}, or nothing")
