"""A Bayesian factor model of a sparse table: rows share covariates and groups, columns share factors.

    y[r, c] = mean[c] + loading[c] . z[r] + shared[model of r, c] + own[r, c] + sampling error
    z[r]    = x[r] B + the effects of the groups that hold r + own part of r

Everything is drawn by Gibbs steps from conjugate distributions (Lopes and West, "Bayesian model assessment in factor
analysis", Statistica Sinica 14, 2004; for the effects of groups: Gelman and others, "Bayesian Data Analysis", 3rd
edition, chapter 15). Columns that are not wanted have noise of Student's t, a scale mixture of normals (chapter 17).
This module handles numbers alone and knows no models and no benchmarks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_DEGREES = 4.0  # of Student's t
_SHARED = 0.6  # part of a wanted column's deviation that all rows of a model share
_KIND_STD = 0.35  # loadings of a kind of column, around its expected ones
_COLUMN_STD = 0.25  # loadings of a column, around those of its kind
_SLOPE_STD = 0.3
_NOISE_SHAPE, _NOISE_SCALE = 3.0, 0.75  # prior of a column's noise: inverse gamma
_EFFECT_SHAPE, _EFFECT_SCALE = 2.0, 0.2  # prior of the variance of a group's effects: inverse gamma


@dataclass(frozen=True, slots=True, eq=False)
class SparseTable:
    """Observations of a table, in standard deviations of their column.

    Args:
        rows, columns: Place of each observation, shape (n,).
        values: Observations, shape (n,).
        variances: Sampling variance of each observation, at least 0, shape (n,).
        is_wanted: Whether beliefs about the column are wanted, shape (columns,).
        kinds: Number of each column's kind; columns of one kind have like loadings, shape (columns,).
        kind_general: Expected loading of each kind on the first factor, shape (kinds,).
        covariates: Standardised covariates of the rows, shape (rows, p).
        groups: Group of each row in each grouping, shape (groupings, rows); the last grouping is the model.
    """

    rows: Indices
    columns: Indices
    values: Floats
    variances: Floats
    is_wanted: npt.NDArray[np.bool_]
    kinds: Indices
    kind_general: Floats
    covariates: Floats
    groups: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Draws of what rows share, about the wanted columns alone; D draws, K factors, W wanted columns.

    Args:
        means, noise: Mean and variance of the deviation of each column, shape (D, W).
        loadings: Shape (D, W, K).
        slopes: Shape (D, p, K).
        effects: Effects of the groups; one array of shape (D, groups, K) for each grouping.
        effect_variances: Variance of the effects of each grouping and, last, of the row's own part, shape
            (D, groupings + 1, K).
        shared: Deviation of each model in each column, shape (D, models, W).
    """

    means: Floats
    noise: Floats
    loadings: Floats
    slopes: Floats
    effects: tuple[Floats, ...]
    effect_variances: Floats
    shared: npt.NDArray[np.float32]

    def beliefs_of(self, covariates: Floats, groups: Sequence[int | None]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of a row that has no observation of its own, each of shape (W,).

        Args:
            covariates: Covariates of the row, shape (p,).
            groups: Number of its group in each grouping; None: no row of the fit is in that group.
        """
        z = np.einsum("p,dpk->dk", covariates, self.slopes)
        spread = self.effect_variances[:, -1].copy()
        for place, group in enumerate(groups):
            if group is None:
                spread += self.effect_variances[:, place]
            else:
                z = z + self.effects[place][:, group]
        mean = self.means + np.einsum("dwk,dk->dw", self.loadings, z)
        variance = np.einsum("dwk,dk->dw", self.loadings**2, spread) + (1 - _SHARED) * self.noise
        if groups[-1] is None:
            variance += _SHARED * self.noise
        else:
            mean = mean + self.shared[:, groups[-1]]
        return mean.mean(0), np.sqrt(variance.mean(0) + mean.var(0))


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Beliefs about every row and wanted column, without sampling error.

    Args:
        means, stds: Shape (rows, W), in the order of the wanted columns.
        draws: Draws for rows that are not in the table.
    """

    means: Floats
    stds: Floats
    draws: Draws


def sample_posterior(table: SparseTable, *, n_factors: int, n_sweeps: int, seed: int, n_kept: int = 100) -> Posterior:
    """Run Gibbs sweeps, leave the first third out, and average the rest; the same seed gives the same beliefs."""
    sampler = _Sampler(table, n_factors, np.random.default_rng(seed))
    warm_up = n_sweeps // 3
    every = max(1, (n_sweeps - warm_up) // n_kept)
    total = np.zeros((len(table.covariates), int(table.is_wanted.sum())))
    squares, variances = total.copy(), total.copy()
    kept = []
    for sweep in range(n_sweeps):
        sampler.sweep()
        if sweep < warm_up:
            continue
        mean, variance = sampler.beliefs()
        total += mean
        squares += mean**2
        variances += variance
        if (sweep - warm_up) % every == 0:
            kept.append(sampler.draw())
    n = n_sweeps - warm_up
    means = total / n
    stds = np.sqrt(variances / n + np.maximum(squares / n - means**2, 0))
    return Posterior(means, stds, _stacked(kept))


class _Sampler:
    def __init__(self, table: SparseTable, n_factors: int, random: np.random.Generator) -> None:
        self.table, self.n_factors, self.random = table, n_factors, random
        n_columns, n_rows = len(table.is_wanted), len(table.covariates)
        self.wanted = np.flatnonzero(table.is_wanted)
        self.entries = np.flatnonzero(table.is_wanted[table.columns])  # observations of wanted columns
        self.models = table.groups[-1]
        self.own_share = np.where(table.is_wanted, 1 - _SHARED, 1.0)
        self.expected_loadings = np.zeros((len(table.kind_general), n_factors))
        self.expected_loadings[:, 0] = table.kind_general
        self.kind_loadings = self.expected_loadings.copy()
        self.means = np.zeros(n_columns)
        self.loadings = self.kind_loadings[table.kinds] + random.normal(0, 0.1, (n_columns, n_factors))
        self.noise = np.full(n_columns, 0.3)
        self.weights = np.ones(len(table.values))  # of the mixture that makes Student's t
        self.shared = np.zeros((int(self.models.max()) + 1, n_columns))
        self.observed = np.zeros_like(self.shared)  # 1 where a model has an observation in a wanted column
        self.observed[self.models[table.rows[self.entries]], table.columns[self.entries]] = 1
        self.z = random.normal(0, 0.3, (n_rows, n_factors))
        self.slopes = np.zeros((table.covariates.shape[1], n_factors))
        self.effects = [np.zeros((int(group.max()) + 1, n_factors)) for group in table.groups]
        self.effect_variances = np.full((len(table.groups) + 1, n_factors), 0.2)

    def sweep(self) -> None:
        self._draw_z()
        self._draw_columns()
        self._draw_kinds()
        self._draw_shared()
        self._draw_noise()
        self._draw_slopes()
        self._draw_effects()

    def beliefs(self) -> tuple[Floats, Floats]:
        """Return mean and variance of every row in the wanted columns, given this draw; shapes (rows, W)."""
        mean = self.means[self.wanted] + self.z @ self.loadings[self.wanted].T
        mean += self.shared[self.models][:, self.wanted]
        variance = np.tile((1 - _SHARED) * self.noise[self.wanted], (len(mean), 1))
        place = np.zeros(len(self.means), np.intp)
        place[self.wanted] = np.arange(len(self.wanted))
        rows, columns = self.table.rows[self.entries], place[self.table.columns[self.entries]]
        sampling = self.table.variances[self.entries]
        gain = variance[rows, columns] / (variance[rows, columns] + sampling)
        mean[rows, columns] += gain * (self.table.values[self.entries] - mean[rows, columns])
        variance[rows, columns] = gain * sampling
        return mean, variance

    def draw(self) -> Draws:
        return Draws(
            means=self.means[self.wanted],
            noise=self.noise[self.wanted],
            loadings=self.loadings[self.wanted],
            slopes=self.slopes,
            effects=tuple(effect.copy() for effect in self.effects),
            effect_variances=self.effect_variances.copy(),
            shared=self.shared[:, self.wanted].astype(np.float32),
        )

    def _draw_z(self) -> None:
        variances, loading = self._own_variances(), self.loadings[self.table.columns]
        residual = self.table.values - self.means[self.table.columns] - self._shared_part()
        prior = 1 / self.effect_variances[-1]
        outer = loading[:, :, None] * loading[:, None, :] / variances[:, None, None]
        precision = _sums(outer, self.table.rows, len(self.z)) + np.diag(prior)
        pull = _sums(loading * (residual / variances)[:, None], self.table.rows, len(self.z))
        self.z = _drawn(precision, pull + self._expected_z() * prior, self.random)

    def _draw_columns(self) -> None:
        variances = self._own_variances()
        design = np.hstack([np.ones((len(self.table.rows), 1)), self.z[self.table.rows]])
        residual = self.table.values - self._shared_part()
        prior = np.array([1.0, *[_COLUMN_STD**-2] * self.n_factors])
        outer = design[:, :, None] * design[:, None, :] / variances[:, None, None]
        precision = _sums(outer, self.table.columns, len(self.means)) + np.diag(prior)
        pull = _sums(design * (residual / variances)[:, None], self.table.columns, len(self.means))
        expected = np.hstack([np.zeros((len(self.means), 1)), self.kind_loadings[self.table.kinds]])
        columns = _drawn(precision, pull + expected * prior, self.random)
        self.means, self.loadings = columns[:, 0], columns[:, 1:]

    def _draw_kinds(self) -> None:
        n_kinds = len(self.kind_loadings)
        counts = np.bincount(self.table.kinds, minlength=n_kinds)[:, None]
        precision = counts * _COLUMN_STD**-2 + _KIND_STD**-2
        pull = _sums(self.loadings, self.table.kinds, n_kinds) * _COLUMN_STD**-2
        mean = (pull + self.expected_loadings * _KIND_STD**-2) / precision
        self.kind_loadings = mean + self.random.normal(size=mean.shape) / np.sqrt(precision)

    def _draw_shared(self) -> None:
        shape = self.shared.shape
        rows, columns = self.table.rows[self.entries], self.table.columns[self.entries]
        variances = self._own_variances()[self.entries]
        residual = (self.table.values - self._fitted())[self.entries]
        place = self.models[rows] * shape[1] + columns
        precision = np.bincount(place, 1 / variances, shape[0] * shape[1]).reshape(shape) + 1 / (_SHARED * self.noise)
        pull = np.bincount(place, residual / variances, shape[0] * shape[1]).reshape(shape)
        drawn = pull / precision + self.random.normal(size=shape) / np.sqrt(precision)
        self.shared = np.where(self.table.is_wanted, drawn, 0.0)

    def _draw_noise(self) -> None:
        """Draw each observation's own part first: the residual is that part and sampling error."""
        columns, sampling = self.table.columns, self.table.variances
        residual = self.table.values - self._fitted() - self._shared_part()
        own = self.own_share[columns] * self.noise[columns] / self.weights
        gain = own / (own + sampling)
        part = gain * residual + np.sqrt(gain * sampling) * self.random.normal(size=len(gain))
        scaled = part**2 / self.own_share[columns]
        squares = np.bincount(columns, self.weights * scaled, len(self.noise))
        squares += (self.observed * self.shared**2).sum(0) / _SHARED
        counts = np.bincount(columns, minlength=len(self.noise)) + self.observed.sum(0)
        self.noise = (_NOISE_SCALE + squares / 2) / self.random.gamma(_NOISE_SHAPE + counts / 2)
        drawn = self.random.gamma((_DEGREES + 1) / 2, size=len(part)) * 2 / (_DEGREES + scaled / self.noise[columns])
        self.weights = np.where(self.table.is_wanted[columns], 1.0, drawn)

    def _draw_slopes(self) -> None:
        covariates, own = self.table.covariates, self.effect_variances[-1]
        rest = self.z - self._expected_z() + covariates @ self.slopes
        precision = (covariates.T @ covariates)[None] / own[:, None, None] + np.eye(len(self.slopes)) * _SLOPE_STD**-2
        self.slopes = _drawn(precision, (covariates.T @ rest / own).T, self.random).T

    def _draw_effects(self) -> None:
        own = self.effect_variances[-1]
        for place, group in enumerate(self.table.groups):
            size = len(self.effects[place])
            rest = self.z - self._expected_z() + self.effects[place][group]
            precision = np.bincount(group, minlength=size)[:, None] / own + 1 / self.effect_variances[place]
            mean = _sums(rest, group, size) / own / precision
            self.effects[place] = mean + self.random.normal(size=mean.shape) / np.sqrt(precision)
            self.effect_variances[place] = self._drawn_variance(self.effects[place])
        self.effect_variances[-1] = self._drawn_variance(self.z - self._expected_z())

    def _drawn_variance(self, effect: Floats) -> Floats:
        shape = _EFFECT_SHAPE + len(effect) / 2
        return np.asarray((_EFFECT_SCALE + (effect**2).sum(0) / 2) / self.random.gamma(shape, size=self.n_factors))

    def _own_variances(self) -> Floats:
        own = (self.noise * self.own_share)[self.table.columns] / self.weights
        return np.asarray(own + self.table.variances)

    def _shared_part(self) -> Floats:
        return np.asarray(self.shared[self.models[self.table.rows], self.table.columns])

    def _fitted(self) -> Floats:
        columns = self.table.columns
        return np.asarray(self.means[columns] + (self.loadings[columns] * self.z[self.table.rows]).sum(1))

    def _expected_z(self) -> Floats:
        expected = self.table.covariates @ self.slopes
        for group, effect in zip(self.table.groups, self.effects, strict=True):
            expected += effect[group]
        return np.asarray(expected)


def _stacked(draws: Sequence[Draws]) -> Draws:
    return Draws(
        means=np.stack([draw.means for draw in draws]),
        noise=np.stack([draw.noise for draw in draws]),
        loadings=np.stack([draw.loadings for draw in draws]),
        slopes=np.stack([draw.slopes for draw in draws]),
        effects=tuple(np.stack(effects) for effects in zip(*(draw.effects for draw in draws), strict=True)),
        effect_variances=np.stack([draw.effect_variances for draw in draws]),
        shared=np.stack([draw.shared for draw in draws]),
    )


def _sums(values: Floats, groups: Indices, n_groups: int) -> Floats:
    """Return the sum of the values of each group, along the first axis."""
    flat = values.reshape(len(values), -1)
    sums = [np.bincount(groups, column, n_groups) for column in flat.T]
    return np.asarray(np.stack(sums, axis=1).reshape(n_groups, *values.shape[1:]), np.float64)


def _drawn(precision: Floats, pull: Floats, random: np.random.Generator) -> Floats:
    """Draw from normals with these precisions, shape (n, k, k), whose precision times mean has shape (n, k)."""
    root = np.linalg.cholesky(precision)
    mean = np.linalg.solve(precision, pull[..., None])
    noise = np.linalg.solve(np.swapaxes(root, -1, -2), random.normal(size=pull.shape)[..., None])
    return np.asarray((mean + noise)[..., 0])
