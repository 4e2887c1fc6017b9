"""Puts grades, published scores and lengths into one sparse table, in standard deviations of each column."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from training.abilities.covariates import CovariateScale
from training.abilities.factor_model import SparseTable
from training.abilities.graded_columns import RowName, read_column
from training.abilities.model_facts import ModelFacts

LENGTH = "length, "
"""Beginning of the names of columns of lengths."""

LENGTH_VARIANCE = 0.02
"""Sampling variance of the logarithm of a mean length."""

_GENERAL = 0.8  # expected loading of any score on the first factor
_FEWEST_ROWS = 3  # of a benchmark
_MOST_LOG_ODDS = 6.0
_LEAST_VARIANCE = 0.02
_PSEUDO_ROWS = 5  # that draw the spread of a column with few rows towards the usual spread


def observations(graded: pd.DataFrame, benchmarks: pd.DataFrame, lengths: pd.DataFrame | None) -> pd.DataFrame:
    """Return all observations of a fit.

    Returns:
        Columns model, effort, column, kind, value, variance (of sampling) and family: "grade", "score" or "length".
    """
    tables = [_graded_observations(graded), _score_observations(benchmarks)]
    if lengths is not None:
        tables.append(_length_observations(lengths))
    return pd.concat([table for table in tables if len(table)], ignore_index=True)


class ColumnTable:
    """Columns of a fit in order: graded, lengths, benchmarks.

    Args:
        observed: Observations, see `observations`.

    Attributes:
        graded, lengths: Names of the columns of grades and of lengths.
        names: Names of all columns.
        centres, spreads: Mean and standard deviation of each column, without sampling variance, shape (columns,).
        kinds: Number of each column's kind, shape (columns,).
        kind_general: Expected loading of each kind on the first factor, shape (kinds,).
    """

    def __init__(self, observed: pd.DataFrame) -> None:
        described = observed.drop_duplicates("column").sort_values("column")
        self.graded, self.lengths, others = (
            tuple(described["column"][described["family"] == family]) for family in ("grade", "length", "score")
        )
        self.names = (*self.graded, *self.lengths, *others)
        kind_of = dict(zip(described["column"], described["kind"], strict=True))
        kinds = sorted(set(kind_of.values()))
        self.kinds = np.array([kinds.index(kind_of[name]) for name in self.names])
        is_length = {row.kind for row in described.itertuples() if row.family == "length"}
        self.kind_general = np.array([0.0 if kind in is_length else _GENERAL for kind in kinds])
        groups = {str(name): rows for name, rows in observed.groupby("column")}
        self.centres = np.array([_centre(groups[name]) for name in self.names])
        counts = np.array([len(groups[name]) for name in self.names])
        own = np.array([_spread(groups[name]) for name in self.names])
        usual = float(np.median(own[counts > 1])) if (counts > 1).any() else 1.0
        own = np.where(counts > 1, own, usual)
        self.spreads = np.sqrt((own * counts + usual * _PSEUDO_ROWS) / (counts + _PSEUDO_ROWS))

    def sparse_table(
        self,
        observed: pd.DataFrame,
        rows: Sequence[RowName],
        stated: Mapping[str, ModelFacts],
        scale: CovariateScale,
    ) -> SparseTable:
        """Return the table of a fit; rows in the order of `rows`, columns in that of `names`."""
        row_of = {row: place for place, row in enumerate(rows)}
        column_of = {name: place for place, name in enumerate(self.names)}
        columns = observed["column"].map(column_of).to_numpy(np.intp)
        groups = [[number or 0 for number in scale.group_numbers(stated[model])] for model, _ in rows]
        return SparseTable(
            rows=np.array([row_of[row] for row in zip(observed["model"], observed["effort"], strict=True)]),
            columns=columns,
            values=(observed["value"].to_numpy(np.float64) - self.centres[columns]) / self.spreads[columns],
            variances=observed["variance"].to_numpy(np.float64) / self.spreads[columns] ** 2,
            is_wanted=np.arange(len(self.names)) < len(self.graded) + len(self.lengths),
            kinds=self.kinds,
            kind_general=self.kind_general,
            covariates=scale.covariates([(stated[model], effort) for model, effort in rows]),
            groups=np.array(groups, np.intp).T,
        )


def _graded_observations(graded: pd.DataFrame) -> pd.DataFrame:
    tables = []
    for name, grades in graded.groupby("column"):
        column = read_column(grades)
        tables.append(
            pd.DataFrame(column.rows, columns=["model", "effort"]).assign(
                column=str(name),
                kind=str(grades["kind"].mode().iloc[0]),
                value=np.clip(column.log_odds, -_MOST_LOG_ODDS, _MOST_LOG_ODDS),
                variance=column.variances,
                family="grade",
            )
        )
    return pd.concat(tables, ignore_index=True)


def _score_observations(benchmarks: pd.DataFrame) -> pd.DataFrame:
    counts = benchmarks.drop_duplicates(["model", "effort", "benchmark"])["benchmark"].value_counts()
    kept = benchmarks[benchmarks["benchmark"].map(counts) >= _FEWEST_ROWS]
    return pd.DataFrame(
        {
            "model": kept["model"],
            "effort": kept["effort"],
            "column": "score, " + kept["benchmark"],
            "kind": kept["domain"],
            "value": kept["log_odds"],
            "variance": 0.0,
            "family": "score",
        }
    )


def _length_observations(lengths: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": lengths["model"],
            "effort": lengths["effort"],
            "column": LENGTH + lengths["task"],
            "kind": LENGTH + lengths["kind"],
            "value": lengths["log_tokens"],
            "variance": LENGTH_VARIANCE,
            "family": "length",
        }
    )


def _centre(rows: pd.DataFrame) -> float:
    return float(np.average(rows["value"].astype(float), weights=1 / (rows["variance"].astype(float) + 0.1)))


def _spread(rows: pd.DataFrame) -> float:
    """Return the variance of a column's values without their sampling variance."""
    return max(float(rows["value"].astype(float).var(ddof=0) - rows["variance"].mean()), _LEAST_VARIANCE)
