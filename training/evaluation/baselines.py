"""The baselines that a router has to beat: the usual learners on the same embedding, cross-fitted on the corpus.

Each learns from the prompts of one source, because only these have grades of the same models. An operator who routes
this way would do the same. A missing answer counts as the model's mean.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.corpus.graded_corpus import Corpus

if TYPE_CHECKING:
    from lightgbm import LGBMRegressor

Float32s = npt.NDArray[np.float32]

Learner = Callable[[Float32s, Float32s, Float32s], Float32s]
"""(inputs of the fitted prompts (n, d), their values (n, m), inputs of the asked prompts (k, d))
-> values of the asked prompts (k, m)."""

N_NEIGHBOURS = 100
N_CLUSTERS = 60
N_FACTORS = 8
_RIDGE = 300.0
_BATCH_PROMPTS = 1_024
_UNKNOWN_SCORE, _UNKNOWN_TOKENS = 0.5, 250.0


@dataclass(frozen=True, slots=True, eq=False)
class BaselineBeliefs:
    """Beliefs of a baseline about `n` prompts and `m` models.

    Args:
        quality: Shape (n, m), 0..1; 0.5 for a model without a grade in the prompt's source.
        completion_tokens: Shape (n, m); 250 for a model without a length in the prompt's source.
    """

    quality: Float32s
    completion_tokens: Float32s


def cross_fit_baseline(
    learner: Learner, corpus: Corpus, inputs: Float32s, fold: npt.NDArray[np.intp]
) -> BaselineBeliefs:
    """Return the beliefs of `learner` about each prompt, after fitting it to the other folds of the same source.

    Args:
        learner: One of `BASELINES`.
        corpus: Graded answers.
        inputs: Shape (n, d); standardised inputs.
        fold: Shape (n,); fold of each prompt.
    """
    quality = np.full(corpus.scores.shape, _UNKNOWN_SCORE, np.float32)
    tokens = np.full(corpus.scores.shape, _UNKNOWN_TOKENS, np.float32)
    for source, held_out in itertools.product(np.unique(corpus.sources), np.unique(fold)):
        of_source = corpus.sources == source
        fitted, asked = np.flatnonzero(of_source & (fold != held_out)), np.flatnonzero(of_source & (fold == held_out))
        if not len(fitted) or not len(asked):
            continue
        for believed, observed in ((quality, corpus.scores), (tokens, corpus.completion_tokens)):
            columns = np.flatnonzero(~np.isnan(observed[fitted]).all(axis=0))
            if len(columns):
                values = _filled(observed[np.ix_(fitted, columns)])
                believed[np.ix_(asked, columns)] = learner(inputs[fitted], values, inputs[asked])
    return BaselineBeliefs(quality.clip(0, 1), tokens.clip(min=1))


def neighbours(fitted: Float32s, values: Float32s, asked: Float32s) -> Float32s:
    """Return the mean over the 100 nearest prompts by cosine."""
    fitted, asked = _unit(fitted), _unit(asked)
    n_near = min(N_NEIGHBOURS, len(fitted))
    parts = []
    for start in range(0, len(asked), _BATCH_PROMPTS):
        similarity = asked[start : start + _BATCH_PROMPTS] @ fitted.T
        nearest = np.argpartition(-similarity, n_near - 1, axis=1)[:, :n_near]
        parts.append(values[nearest].mean(axis=1))
    return np.concatenate(parts)


def clusters(fitted: Float32s, values: Float32s, asked: Float32s) -> Float32s:
    """Return the mean of the prompt's cluster, as in Avengers-Pro (Zhang et al. 2025)."""
    from sklearn.cluster import KMeans

    model = KMeans(min(N_CLUSTERS, len(fitted)), n_init=1, random_state=0).fit(fitted)
    means = np.stack([values[model.labels_ == label].mean(axis=0) for label in range(model.n_clusters)])
    return np.asarray(means[model.predict(asked)], np.float32)


def linear(fitted: Float32s, values: Float32s, asked: Float32s) -> Float32s:
    """Return the predictions of one ridge regression per model."""
    from sklearn.linear_model import Ridge

    return np.asarray(Ridge(_RIDGE).fit(fitted, values).predict(asked), np.float32).reshape(len(asked), -1)


def factorization(fitted: Float32s, values: Float32s, asked: Float32s) -> Float32s:
    """Return the predictions of a matrix factorization; a ridge regression predicts the prompts' factors."""
    mean = values.mean(axis=0)
    _, _, directions = np.linalg.svd(values - mean, full_matrices=False)
    directions = directions[:N_FACTORS]
    return np.asarray(linear(fitted, (values - mean) @ directions.T, asked) @ directions + mean, np.float32)


def boosted_trees(n_jobs: int) -> "LGBMRegressor":
    """Return trees that are not fitted yet, with the settings of every comparison.

    Args:
        n_jobs: Number of threads of the fit.
    """
    from lightgbm import LGBMRegressor

    return LGBMRegressor(
        n_estimators=120,
        num_leaves=15,
        learning_rate=0.06,
        min_child_samples=30,
        colsample_bytree=0.3,
        reg_lambda=5,
        subsample=0.8,
        subsample_freq=1,
        random_state=0,
        n_jobs=n_jobs,
        verbose=-1,
    )


def trees(fitted: Float32s, values: Float32s, asked: Float32s) -> Float32s:
    """Return the predictions of boosted trees (LightGBM), one fit per model; it takes minutes on a large corpus."""

    def one_model(column: int) -> Float32s:
        return np.asarray(boosted_trees(n_jobs=2).fit(fitted, values[:, column]).predict(asked), np.float32)

    return np.stack([one_model(column) for column in range(values.shape[1])], axis=1)


BASELINES: Mapping[str, Learner] = MappingProxyType(
    {
        "kNN-100": neighbours,
        "clusters-60": clusters,
        "linear": linear,
        "matrix factorization": factorization,
        "LightGBM": trees,
    }
)
QUICK_BASELINES = tuple(name for name, learner in BASELINES.items() if learner is not trees)


def _filled(values: Float32s) -> Float32s:
    return np.where(np.isnan(values), np.nanmean(values, axis=0), values).astype(np.float32)


def _unit(rows: Float32s) -> Float32s:
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9), np.float32)
