"""Reads the two tables of published figures: scores on benchmarks, and lengths of answers.

`benchmarks.csv` has one row a model, effort and benchmark: model, effort, benchmark, domain, score, unit, date, source.
`verbosity.csv` has one row a model, effort and task: model, effort, task, mean_output_tokens, counts, source.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from training.abilities.licences import is_free_table
from training.abilities.model_facts import as_year
from training.errors import CorpusError

EFFORTS: dict[str, float] = {
    "none": 0.0, "minimal": 0.15, "low": 0.4, "medium": 0.6, "thinking": 0.7, "high": 0.85, "xhigh": 1.0, "max": 1.1,
}  # fmt: skip
"""Efforts by how much a model thinks. "thinking": switched on at an unstated level; "" is the provider's default."""

_SCORE_COLUMNS = ("model", "effort", "benchmark", "domain", "score", "unit", "date", "source")
_LENGTH_COLUMNS = ("model", "effort", "task", "mean_output_tokens", "counts", "source")
_LEAST, _MOST = 0.01, 0.99
_GRADED_SOURCE = " (this folder)"
_LOWER_IS_BETTER = r"lower is better|confabulated"


def read_benchmarks(path: Path, *, allowed: Callable[[str], bool] = is_free_table) -> pd.DataFrame:
    """Read published scores.

    A percentage or a figure out of ten becomes a share, a rate of failures the rate of successes. Rows whose score is
    no share after that, as Elo ratings and sums of money, are left out.

    Args:
        path: Path of `benchmarks.csv`.
        allowed: Test of the column `source`. By default rows of tables with a free licence are read, see `licences`.

    Returns:
        Columns model, effort, benchmark (with its publisher), domain, log_odds and year; one row a combination.

    Raises:
        CorpusError: The file is missing or malformed; the message names the file, the row and the fix.
    """
    table = _read(path, _SCORE_COLUMNS, allowed)
    score = _numbers(table, "score", path)
    unit = table["unit"].astype(str)
    score = score.where(~unit.str.startswith("%"), score / 100).where(unit != "0..10", score / 10)
    is_rate_of_failures = (table["benchmark"] + " " + unit).str.contains(_LOWER_IS_BETTER)
    score = score.where(~is_rate_of_failures, 1 - score)
    share = score.clip(_LEAST, _MOST)
    table["log_odds"] = np.log(share / (1 - share))
    table["benchmark"] = table["source"].str.split(r"@| \(", regex=True).str[0] + ": " + table["benchmark"]
    table["year"] = _years(table["date"])
    kept = table[(score >= 0) & (score <= 1)]
    return kept.groupby(["model", "effort", "benchmark", "domain"], as_index=False).agg(
        log_odds=("log_odds", "mean"), year=("year", "min")
    )


def read_lengths(path: Path, *, allowed: Callable[[str], bool] = is_free_table) -> pd.DataFrame:
    """Read mean lengths of answers.

    Args:
        path: Path of `verbosity.csv`.
        allowed: Test of the column `source`. By default rows of tables with a free licence are read, see `licences`.

    Returns:
        Columns model, effort, task, kind ("billed" or "visible": without hidden reasoning) and log_tokens, the
        natural logarithm of the mean output tokens; one row a combination. All tasks of a graded source are one,
        named after it. Models did not do all of these, so each task counts compared with its mean over models.

    Raises:
        CorpusError: The file is missing or malformed; the message names the file, the row and the fix.
    """
    table = _read(path, _LENGTH_COLUMNS, allowed)
    tokens = _numbers(table, "mean_output_tokens", path)
    table["log_tokens"] = np.log(tokens.where(tokens > 0))
    table["kind"] = np.where(table["counts"].astype(str).str.startswith("billed"), "billed", "visible")
    kept = table[tokens > 0].copy()
    is_graded = kept["source"].str.endswith(_GRADED_SOURCE)
    group = kept["task"].where(~is_graded, kept["source"].str.removesuffix(_GRADED_SOURCE))
    task_mean = kept.groupby(["source", "task"])["log_tokens"].transform("mean")
    kept["log_tokens"] += kept["log_tokens"].groupby(group).transform("mean") - task_mean
    kept["task"] = group
    return kept.groupby(["model", "effort", "task", "kind"], as_index=False).agg(log_tokens=("log_tokens", "mean"))


def _read(path: Path, wanted: Sequence[str], allowed: Callable[[str], bool]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype=str)
    except (OSError, ValueError) as problem:
        raise CorpusError(path, f"cannot be read ({problem})", "give a CSV with a header") from problem
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise CorpusError(path, f"has no column {missing[0]!r}", f"give the columns {', '.join(wanted)}")
    table["effort"] = table["effort"].replace({"enabled": "thinking"})
    bad = np.flatnonzero(~table["effort"].isin(["", *EFFORTS]).to_numpy())
    if len(bad):
        raise CorpusError(
            path,
            f"effort {table['effort'].iloc[bad[0]]!r} is unknown",
            f"write one of {', '.join(EFFORTS)}, or nothing for the provider's default",
            int(bad[0]),
        )
    bad = np.flatnonzero(table["model"].str.strip().eq("").to_numpy())
    if len(bad):
        raise CorpusError(path, "a row names no model", "write the model as vendor/name", int(bad[0]))
    return table[table["source"].map(allowed).astype(bool)].copy()


def _numbers(table: pd.DataFrame, name: str, path: Path) -> "pd.Series[float]":
    values = pd.to_numeric(table[name].where(table[name] != ""), errors="coerce")
    bad = np.flatnonzero((values.isna() & (table[name] != "")).to_numpy())
    if len(bad):
        row = int(table.index[bad[0]])
        raise CorpusError(
            path, f"{name} {table[name].iloc[bad[0]]!r} is not a number", "write a number or nothing", row
        )
    return values


def _years(dates: "pd.Series[str]") -> "pd.Series[float]":
    """Return each date, "2026-01-08", as a year with fraction; NaN where it is unknown."""
    days = pd.to_datetime(dates.where(dates.str.len() >= 10), errors="coerce", format="ISO8601")
    return days.map(lambda day: np.nan if pd.isna(day) else as_year(day.date())).astype(float)
