"""What is believed of every row, a model at an effort, before a prompt is read."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.abilities.abilities import Abilities
from training.abilities.graded_columns import RowName
from training.demand.graded_work import GradedWork

Floats = npt.NDArray[np.float64]

VISIBLE, REASONING = "visible answer", "reasoning"
"""Names of the tasks with lengths that `training.abilities` is asked about; the others are `tokens_in(column)`."""
_ROUNDS = 8
_LEAST_REASONING = 20.0
"""Added to reasoning tokens before the logarithm: models that do not reason have none."""
_MOST_WORDY = 0.3
"""Largest log of a row's visible tokens, compared with the average row. Whatever is longer was reasoning that its
provider did not count apart; and on work that asks for a length, models keep to it more than they do elsewhere."""
_SMALL_MODELS = ("meta/llama-3.1-8b-instruct", "qwen/qwen3-8b", "google/gemma-2-9b-it", "mistralai/ministral-8b")
_N_STRONGEST = 5
_OF_COLUMNS = frozenset({"rows", "columns", "visible_levels", "reasoning_levels", "counts_all", "has_lengths"})
"""Fields of `RowBeliefs` that do not belong to a row."""


@dataclass(frozen=True, slots=True, eq=False)
class RowBeliefs:
    """Beliefs about `r` rows and `c` columns.

    Args:
        rows: Names of the rows.
        columns: Names of the columns of graded work.
        abilities, ability_stds: Log odds of the mean grade in each column, shape (r, c).
        general, general_std: Ability over all columns, shape (r,): 0 is an average open model of 8 billion parameters
            of 2025, 1 the strongest models.
        visible, visible_std: Log of the tokens of a visible answer, compared with the average row, shape (r,).
        reasoning, reasoning_std: Log of the reasoning tokens, compared with the average row that reasons at medium
            effort, shape (r,).
        column_visible, column_reasoning: Log tokens of the visible answer and of the reasoning to the average prompt of
            each column, shape (r, c); 0 in columns without lengths.
        column_tokens: Log of their sum, shape (r, c).
        visible_levels, reasoning_levels: Log tokens, visible and of reasoning, of the answers in a column, were all
            rows as wordy as the average, shape (c,).
        counts_all: Whether the tokens of a column were counted with the reasoning, shape (c,).
        has_lengths: Whether lengths of a column are known, shape (c,).
    """

    rows: tuple[RowName, ...]
    columns: tuple[str, ...]
    abilities: Floats
    ability_stds: Floats
    general: Floats
    general_std: Floats
    visible: Floats
    visible_std: Floats
    reasoning: Floats
    reasoning_std: Floats
    column_visible: Floats
    column_reasoning: Floats
    column_tokens: Floats
    visible_levels: Floats
    reasoning_levels: Floats
    counts_all: npt.NDArray[np.bool_]
    has_lengths: npt.NDArray[np.bool_]

    def of_rows(self, rows: Sequence[RowName]) -> "RowBeliefs":
        """Return the beliefs about these rows, in this order."""
        place = {row: number for number, row in enumerate(self.rows)}
        chosen = [place[row] for row in rows]
        of_rows = {
            field.name: getattr(self, field.name)[chosen] for field in fields(self) if field.name not in _OF_COLUMNS
        }
        return replace(self, rows=tuple(rows), **of_rows)


def tokens_in(column: str) -> str:
    """Return the name of the task of the lengths in a column."""
    return f"tokens in {column}"


def column_lengths(work: GradedWork) -> pd.DataFrame:
    """Return the log tokens of each row in each column, were all rows asked the same prompts.

    Tokens are those that the provider counted, and where no answer of the column has them, those of the visible answer.

    Returns:
        Columns model, effort, task, kind and log_tokens, as `training.abilities.published.read_lengths` returns them.
    """
    parts = []
    for column in sorted(set(work.columns)):
        here = work.columns == column
        log_tokens = np.log(np.maximum(_counted(work, here), 1.0))
        means = _row_means(log_tokens)
        place = np.flatnonzero(~np.isnan(means))
        parts.append(
            pd.DataFrame(
                {
                    "model": [work.rows[row][0] for row in place],
                    "effort": [work.rows[row][1] for row in place],
                    "task": tokens_in(column),
                    "kind": "billed" if _counts_all(work, here) else "visible",
                    "log_tokens": means[place],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _counts_all(work: GradedWork, here: npt.NDArray[np.bool_]) -> bool:
    return bool(np.isfinite(work.tokens[here]).any())


def _counted(work: GradedWork, here: npt.NDArray[np.bool_]) -> Floats:
    return np.asarray((work.tokens if _counts_all(work, here) else work.visible)[here], np.float64)


def _row_means(values: Floats) -> Floats:
    """Return the mean of each row of answers over all prompts, given that prompts differ; (prompts, r) -> (r,)."""
    is_there = ~np.isnan(values)
    filled = np.where(is_there, values, 0.0)
    counts, prompt_counts = is_there.sum(axis=0), is_there.sum(axis=1)
    of_prompts = np.zeros(len(values))
    means = np.zeros(values.shape[1])
    for _ in range(_ROUNDS):
        means = ((filled - of_prompts[:, None]) * is_there).sum(axis=0) / np.maximum(counts, 1)
        of_prompts = ((filled - means) * is_there).sum(axis=1) / np.maximum(prompt_counts, 1)
        of_prompts -= of_prompts[prompt_counts > 0].mean() if (prompt_counts > 0).any() else 0.0
    return np.where(counts > 0, means, np.nan)


def visible_and_reasoning(verbosity: pd.DataFrame) -> pd.DataFrame:
    """Return the lengths of visible answers and of reasoning, from rows of `verbosity.csv` that state both.

    Args:
        verbosity: Columns model, effort, mean_output_tokens, mean_reasoning_tokens, counts; other columns are ignored.

    Returns:
        Columns model, effort, task, kind and log_tokens, as `training.abilities.published.read_lengths` returns them.
    """
    stated = verbosity[verbosity["counts"].str.startswith("billed") & verbosity["mean_reasoning_tokens"].notna()]
    thought = stated["mean_reasoning_tokens"].clip(lower=0)
    seen = (stated["mean_output_tokens"] - thought).clip(lower=1)
    parts = [
        pd.DataFrame({"model": stated["model"], "effort": stated["effort"], "task": task, "source_task": stated["task"],
                      "log_tokens": values})
        for task, values in ((VISIBLE, np.log(seen)), (REASONING, np.log(thought + _LEAST_REASONING)))
    ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    of_task = table.groupby(["task", "source_task"])["log_tokens"].transform("mean")
    table["log_tokens"] += table.groupby("task")["log_tokens"].transform("mean") - of_task
    means = table.groupby(["model", "effort", "task"], as_index=False)["log_tokens"].mean()
    means["kind"] = means["task"]
    return pd.DataFrame(means)


def believe_rows(abilities: Abilities, work: GradedWork) -> RowBeliefs:
    """Return the beliefs about every row of a fit.

    Args:
        abilities: Fit with the lengths of `visible_and_reasoning` and `column_lengths`.
        work: Graded work that it was fitted to.
    """
    weight = 1 / (abilities.stds**2 + 0.25)
    scale = abilities.means.std(axis=0)
    standard = (abilities.means - abilities.means.mean(axis=0)) / scale
    raw = (standard * weight).sum(axis=1) / weight.sum(axis=1)
    raw_std = np.sqrt((weight**2 * (abilities.stds / scale) ** 2).sum(axis=1)) / weight.sum(axis=1)
    models = np.array([model for model, _ in abilities.rows])
    small = np.isin(models, _SMALL_MODELS)
    low = float(raw[small].mean()) if small.any() else float(np.quantile(raw, 0.1))
    high = float(np.sort(raw)[-_N_STRONGEST:].mean())
    lengths = {name: place for place, name in enumerate(abilities.lengths)}

    def length(name: str, centre: float) -> tuple[Floats, Floats]:
        place = lengths.get(name)
        if place is None:
            return np.zeros(len(models)), np.full(len(models), 0.5)
        return abilities.length_means[:, place] - centre, abilities.length_stds[:, place]

    medium = np.array([effort == "medium" for _, effort in abilities.rows])
    visible_centre = float(abilities.length_means[:, lengths[VISIBLE]].mean()) if VISIBLE in lengths else 0.0
    reasoning_centre = (
        float(abilities.length_means[medium if medium.any() else slice(None), lengths[REASONING]].mean())
        if REASONING in lengths
        else 0.0
    )
    visible, visible_std = length(VISIBLE, visible_centre)
    reasoning, reasoning_std = length(REASONING, reasoning_centre)
    uncounted = np.exp(visible_centre) * (np.exp(visible) - np.exp(np.minimum(visible, _MOST_WORDY)))
    reasoning = np.log(np.exp(reasoning + reasoning_centre) + uncounted) - reasoning_centre
    visible = visible.clip(-_MOST_WORDY, _MOST_WORDY)
    parts = [_lengths_in(column, abilities, work, visible, reasoning) for column in abilities.columns]
    column_visible, column_reasoning = (np.stack(arrays, axis=1) for arrays in zip(*parts, strict=True))
    return RowBeliefs(
        abilities.rows,
        abilities.columns,
        abilities.means,
        abilities.stds,
        (raw - low) / (high - low),
        # Columns share their errors, so the spread of their mean is no smaller than about half of a column's.
        np.maximum(raw_std, 0.5 * (abilities.stds / scale).mean(axis=1)) / (high - low),
        visible,
        visible_std,
        reasoning,
        reasoning_std,
        column_visible,
        column_reasoning,
        np.logaddexp(column_visible, column_reasoning),
        (column_visible - visible[:, None]).mean(axis=0),
        (column_reasoning - reasoning[:, None]).mean(axis=0),
        np.array([_counts_all(work, work.columns == column) for column in abilities.columns]),
        np.array([tokens_in(column) in abilities.lengths for column in abilities.columns]),
    )


def _lengths_in(
    column: str, abilities: Abilities, work: GradedWork, visible: Floats, reasoning: Floats
) -> tuple[Floats, Floats]:
    """Return log tokens, visible and of reasoning, of every row's average answer in a column, each of shape (r,)."""
    if tokens_in(column) not in abilities.lengths:
        return np.zeros(len(abilities.rows)), np.zeros(len(abilities.rows))
    here = work.columns == column
    place = abilities.lengths.index(tokens_in(column))
    counted = abilities.length_means[:, place]
    row_of = {row: number for number, row in enumerate(abilities.rows)}
    rows_of_work = np.array([row_of[row] for row in work.rows])
    usual = (_usual(work.visible[here], rows_of_work, visible), _usual(work.reasoning[here], rows_of_work, reasoning))
    if not _counts_all(work, here):
        # Only visible tokens were counted: reasoning is that of prompts with as long an answer, at the row's own rate.
        return counted, float(np.nanmean(counted)) + reasoning
    level = float(counted.mean())
    expected_visible = visible + (level - 1.0 if usual[0] is None else usual[0])
    expected_reasoning = reasoning + (level - 1.0 if usual[1] is None else usual[1])
    # What was counted is the sum of both, and it is known best; the expectations say how it is divided.
    excess = counted - np.logaddexp(expected_visible, expected_reasoning)
    return expected_visible + excess, expected_reasoning + excess


def _usual(tokens: npt.NDArray[np.float32], rows: npt.NDArray[np.intp], of_rows: Floats) -> float | None:
    """Return the mean log tokens of the answers, were all rows as wordy as the average; None: nothing was counted."""
    differences = _row_means(np.log(np.where(tokens > 0, tokens, np.nan).astype(np.float64))) - of_rows[rows]
    return None if np.isnan(differences).all() else float(np.nanmean(differences))
