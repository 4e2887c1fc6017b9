"""Measures abilities honestly: whole models are left out and predicted, and few prompts are completed.

A model is left out with all its efforts and with its other spellings and variants (one root). Its published scores,
its name and its prices stay. For a harder measure, the newest models of a vendor are left out all at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.abilities.abilities import Abilities, AbilitySettings, fit_abilities
from training.abilities.graded_columns import GradedColumn, read_column
from training.abilities.list_prices import ListPrices
from training.abilities.model_facts import read_name
from training.abilities.observations import LENGTH_VARIANCE

Floats = npt.NDArray[np.float64]
BASELINES = ("no knowledge", "line", "asked", "own means")
"""What predicts a model's grades in a source.

- "no knowledge": the mean of the other models there.
- "line": a straight line from the mean percentile of the model's published scores, fitted to the other models.
- "asked": fitted abilities.
- "own means": the model's own mean there, which nothing can beat that knows no prompts.
"""

LEVELS = {0.5: 0.6745, 0.8: 1.2816, 0.95: 1.9600}
"""Share inside an interval -> half its width in standard deviations."""

_FEWEST_ON_A_LINE = 5
_FEW_PROMPTS = 0.3  # share of prompts that is kept
_FEWEST_KEPT = 3


@dataclass(frozen=True, slots=True, eq=False)
class LeftOutResult:
    """What was predicted for models that were left out.

    Args:
        errors: Columns column, model, n_cells, n_scores (published scores of the model), and the mean squared error
            over the cells of each of `BASELINES`. A cell is a prompt and a model.
        misses: Columns column, model, effort, and deviation: predicted minus observed log odds, in predicted
            standard deviations, sampling error included.
        lengths: Columns task, model, effort, and the errors of the predicted mean length in octaves (log2), "asked"
            and "no knowledge"; and deviation, as in `misses`.
    """

    errors: pd.DataFrame
    misses: pd.DataFrame
    lengths: pd.DataFrame

    def brier(self, *, fewest_scores: int = 0) -> "pd.Series[float]":
        """Return the mean over models of each one's mean squared error, for models with so many published scores."""
        chosen = self.errors[self.errors["n_scores"] >= fewest_scores]
        weighted = chosen[list(BASELINES)].mul(chosen["n_cells"], axis=0).groupby(chosen["model"]).sum()
        return weighted.div(chosen.groupby("model")["n_cells"].sum(), axis=0).mean()

    def brier_by_column(self) -> pd.DataFrame:
        """Return for each column the number of models and the mean over them of the mean squared errors."""
        table = self.errors.groupby("column")[list(BASELINES)].mean()
        table.insert(0, "models", self.errors.groupby("column").size())
        return table

    def coverage(self) -> pd.DataFrame:
        """Return the share of observations inside the intervals of `LEVELS`, for each column and for all."""
        inside = pd.DataFrame({level: self.misses["deviation"].abs() <= half for level, half in LEVELS.items()}).astype(
            float
        )
        table = inside.groupby(self.misses["column"]).mean()
        table.loc["all"] = inside.mean()
        return table

    def octaves_by_task(self) -> pd.DataFrame:
        """Return for each task the root mean square of the errors in octaves, and the share inside 80% intervals."""
        labels = ["no knowledge", "asked"]
        by_task = self.lengths.groupby("task")
        table = (self.lengths[labels] ** 2).groupby(self.lengths["task"]).mean() ** 0.5
        table.insert(0, "rows", by_task.size())
        is_inside = (self.lengths["deviation"].abs() <= LEVELS[0.8]).astype(float)
        table["inside 80%"] = is_inside.groupby(self.lengths["task"]).mean()
        return table


def leave_models_out(
    graded: pd.DataFrame,
    benchmarks: pd.DataFrame,
    lengths: pd.DataFrame | None = None,
    *,
    n_folds: int = 10,
    newest_only: bool = False,
    settings: AbilitySettings | None = None,
) -> LeftOutResult:
    """Predict graded models from fits without their grades and lengths, and without those of their variants.

    Args:
        graded: Grades, see `fit_abilities`.
        benchmarks: Published scores, see `fit_abilities`.
        lengths: Lengths of answers, see `fit_abilities`. None: lengths are not predicted.
        n_folds: Number of fits; each leaves out a part of the models. Not used if `newest_only`.
        newest_only: Whether to leave out the newest model of every line of one vendor at once, vendor by vendor,
            instead of all models in turn.
        settings: Settings of the fits. None: the defaults.
    """
    settings = settings or AbilitySettings()
    price_of = ListPrices().price_of
    percentiles = _mean_percentiles(benchmarks)
    n_scores = benchmarks.groupby("model").size()
    cells = graded.groupby(["column", "prompt_id", "model"], as_index=False)["score"].mean()
    observed = {str(name): read_column(grades) for name, grades in graded.groupby("column")}
    errors, misses, octaves = [], [], []
    models = sorted(set(graded["model"]))
    for left in _newest_of_vendors(models) if newest_only else _folds(models, n_folds, settings.seed):
        kept = graded[~graded["model"].isin(left)]
        gone = graded[graded["model"].isin(left)]
        rows = sorted(set(zip(gone["model"], gone["effort"], strict=True)))
        kept_lengths = None if lengths is None else lengths[~lengths["model"].isin(left)]
        fit = fit_abilities(kept, benchmarks, lengths=kept_lengths, wanted=rows, price_of=price_of, settings=settings)
        if lengths is not None and kept_lengths is not None:
            octaves += _octaves(fit, kept_lengths, lengths[lengths["model"].isin(left)])
        columns = {str(name): read_column(grades) for name, grades in kept.groupby("column")}
        means = kept.groupby(["column", "model"])["score"].mean()
        for (name, model), answers in cells[cells["model"].isin(left)].groupby(["column", "model"]):
            if name not in columns:
                continue
            efforts = sorted(gone["effort"][(gone["column"] == name) & (gone["model"] == model)].unique())
            asked = _asked(fit, columns[name], name, model, efforts, answers["prompt_id"])
            guesses = (
                float(means[name].mean()),
                _line(means[name], percentiles, model),
                asked,
                answers["score"].mean(),
            )
            squares = [float(((answers["score"] - guess) ** 2).mean()) for guess in guesses]
            errors.append((name, model, len(answers), int(n_scores.get(model, 0)), *squares))
            misses += _misses(fit, observed[name], name, model)
    return LeftOutResult(
        pd.DataFrame(errors, columns=["column", "model", "n_cells", "n_scores", *BASELINES]),
        pd.DataFrame(misses, columns=["column", "model", "effort", "deviation"]),
        pd.DataFrame(octaves, columns=["task", "model", "effort", "no knowledge", "asked", "deviation"]),
    )


def complete_few_prompts(
    graded: pd.DataFrame, benchmarks: pd.DataFrame, *, settings: AbilitySettings | None = None
) -> pd.DataFrame:
    """Hide 70% of the prompts of a third of the models in each column, and predict their mean grade there.

    Returns:
        One row a column: number of models, and the root mean squared error of the mean grade on the hidden prompts by
        "kept mean" (on the other prompts), "kept, adjusted" (for their difficulty) and "asked".
    """
    settings = settings or AbilitySettings()
    random = np.random.default_rng(settings.seed)
    price_of = ListPrices().price_of
    pairs = graded.groupby(["column", "model"]).size()
    third = pd.Series(random.integers(0, 3, len(pairs)), index=pairs.index)
    cell = graded.groupby(["column", "model", "prompt_id"]).ngroup().to_numpy()
    is_hidden = random.random(cell.max() + 1)[cell] > _FEW_PROMPTS  # a prompt at all efforts of a model
    of_row = third.reindex(pd.MultiIndex.from_frame(graded[["column", "model"]])).to_numpy()
    results = []
    for part in range(3):
        hide = is_hidden & (of_row == part)
        kept, hidden = graded[~hide], graded[hide]
        fit = fit_abilities(kept, benchmarks, price_of=price_of, settings=settings)
        columns = {str(name): read_column(grades) for name, grades in kept.groupby("column")}
        for (name, model, effort), answers in hidden.groupby(["column", "model", "effort"]):
            few = kept[(kept["column"] == name) & (kept["model"] == model) & (kept["effort"] == effort)]
            if len(few) < _FEWEST_KEPT:
                continue
            column = columns[name]
            alone = column.log_odds[column.rows.index((model, effort))] + column.ease_of(answers["prompt_id"])
            asked = _asked(fit, column, name, model, [effort], answers["prompt_id"])
            truth = answers["score"].mean()
            guesses = (few["score"].mean(), 1 / (1 + np.exp(-alone)), asked)
            results.append((name, model, *[(guess - truth) ** 2 for guess in guesses]))
    labels = ["kept mean", "kept, adjusted", "asked"]
    table = pd.DataFrame(results, columns=["column", "model", *labels])
    summary = table.groupby("column")[labels].mean() ** 0.5
    summary.insert(0, "rows", table.groupby("column").size())
    return summary


def _folds(models: list[str], n_folds: int, seed: int) -> Iterator[set[str]]:
    """Yield sets of models that have all models of a root together."""
    root_of = {model: read_name(model).root for model in models}
    roots = np.array(sorted(set(root_of.values())))
    np.random.default_rng(seed).shuffle(roots)
    for fold in range(n_folds):
        chosen = set(roots[fold::n_folds])
        left = {model for model, root in root_of.items() if root in chosen}
        if left:
            yield left


def _newest_of_vendors(models: list[str]) -> Iterator[set[str]]:
    """Yield for each vendor the models with the highest version of their line, for lines with two versions or more."""
    facts = [read_name(model) for model in models]
    versions: dict[str, set[float]] = {}
    for stated in facts:
        if stated.version is not None:
            versions.setdefault(stated.line, set()).add(stated.version)
    newest_of = {line: max(numbers) for line, numbers in versions.items() if len(numbers) > 1}
    newest = {stated.root for stated in facts if stated.line in newest_of and stated.version == newest_of[stated.line]}
    for vendor in sorted({stated.vendor for stated in facts}):
        left = {stated.model for stated in facts if stated.vendor == vendor and stated.root in newest}
        if left:
            yield left


def _asked(
    fit: Abilities, column: GradedColumn, name: str, model: str, efforts: list[str], prompts: "pd.Series[str]"
) -> float:
    """Return the mean grade that a fit expects of a model on these prompts, averaged over its efforts."""
    place, ease = fit.columns.index(name), column.ease_of(prompts)
    chances = []
    for effort in efforts:
        ability = fit.of(model, effort)
        chances.append(ability.easier_by(ease).chances()[place])
    return float(np.mean(chances))


def _misses(fit: Abilities, column: GradedColumn, name: str, model: str) -> list[tuple[str, str, str, float]]:
    place, misses = fit.columns.index(name), []
    for number, (graded_model, effort) in enumerate(column.rows):
        if graded_model == model:
            ability = fit.of(model, effort)
            spread = np.sqrt(ability.stds[place] ** 2 + column.variances[number])
            misses.append((name, model, effort, float((ability.means[place] - column.log_odds[number]) / spread)))
    return misses


def _octaves(fit: Abilities, kept: pd.DataFrame, gone: pd.DataFrame) -> list[tuple[str, str, str, float, float, float]]:
    means = kept.groupby("task")["log_tokens"].mean()
    errors = []
    for model, effort, task, log_tokens in zip(
        gone["model"], gone["effort"], gone["task"], gone["log_tokens"], strict=True
    ):
        if task in fit.lengths:
            place, ability = fit.lengths.index(task), fit.of(model, effort)
            error = ability.length_means[place] - log_tokens
            spread = np.sqrt(ability.length_stds[place] ** 2 + LENGTH_VARIANCE)
            naive = (means[task] - log_tokens) / np.log(2)
            errors.append((task, model, effort, float(naive), float(error / np.log(2)), float(error / spread)))
    return errors


def _mean_percentiles(benchmarks: pd.DataFrame) -> "pd.Series[float]":
    """Return the mean percentile of each model's published scores, over benchmarks with at least five models."""
    scores = benchmarks.groupby(["benchmark", "model"], as_index=False)["log_odds"].mean()
    sizes = scores.groupby("benchmark")["model"].transform("size")
    scores = scores[sizes >= _FEWEST_ON_A_LINE]
    percentile: pd.Series[float] = scores.groupby("benchmark")["log_odds"].rank(pct=True)
    return percentile.groupby(scores["model"]).mean()


def _line(means: "pd.Series[float]", percentiles: "pd.Series[float]", model: str) -> float:
    """Return the mean grade by a straight line through the other models; their mean if the model has no score."""
    both = means.index.intersection(percentiles.index)
    if model not in percentiles.index or len(both) < _FEWEST_ON_A_LINE:
        return float(means.mean())
    slope, start = np.polyfit(percentiles[both], means[both], 1)
    return float(np.clip(start + slope * percentiles[model], 0.01, 0.99))
