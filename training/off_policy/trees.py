"""Boosted trees (LightGBM) as the reward model.

They correct the logged belief about a lane by the request's features, the lane and the other beliefs.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from router.log_odds import sigmoid
from training.off_policy.reward_model import BeliefLearner, BeliefModel, JudgedPairs, LanePairs, RewardModel
from training.telemetry.logged_requests import Float32s, Floats

if TYPE_CHECKING:
    import lightgbm
    from distributed import Client

_FEWEST_JUDGED = 200
"""With fewer judged requests, trees would fit noise: then the beliefs are only recalibrated."""


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """Settings of the fit.

    Args:
        n_rounds: Number of trees.
        learning_rate: Learning rate of each tree.
        num_leaves: Number of leaves of each tree.
        min_rows: Smallest number of judged requests in a leaf.
        seed: Seed of LightGBM; the same data, seed and threads give the same trees.
        threads: Number of threads of LightGBM.
    """

    n_rounds: int = 120
    learning_rate: float = 0.05
    num_leaves: int = 15
    min_rows: int = 40
    seed: int = 0
    threads: int = 1

    def parameters(self) -> dict[str, object]:
        """Return LightGBM's parameters. The objective `cross_entropy` takes shares as well as labels."""
        return {
            "objective": "cross_entropy",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "lambda_l2": 5.0,
            "min_child_samples": self.min_rows,
            "colsample_bytree": 0.5,
            "max_bin": 63,
            "cat_smooth": 20.0,
            "boost_from_average": False,
            "random_state": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "verbose": -1,
        }


@dataclass(frozen=True, slots=True, eq=False)
class TreeModel:
    """P = sigmoid(log odds of the recalibrated belief + output of the trees)."""

    beliefs: BeliefModel
    booster: "lightgbm.Booster"
    threads: int

    def predict(self, pairs: LanePairs) -> Floats:
        """Return the expected rewards, shape (k,)."""
        added = self.booster.predict(_columns(pairs), raw_score=True, num_threads=self.threads)
        return sigmoid(_log_odds(self.beliefs, pairs) + np.asarray(added, np.float64))


@dataclass(frozen=True, slots=True)
class TreeLearner:
    """Fits trees if there are enough judged requests; otherwise it only recalibrates the beliefs.

    Args:
        settings: Settings of the trees.
        client: Client of a Dask cluster that fits the trees; None: this process fits them.
    """

    settings: TreeSettings = TreeSettings()
    client: "Client | None" = None

    def fit(self, judged: JudgedPairs) -> RewardModel:
        """Return the reward model."""
        if len(judged.reward) < _FEWEST_JUDGED:
            return BeliefLearner().fit(judged)
        return train_reward_model(judged, self.client, self.settings)


def train_reward_model(
    judged: JudgedPairs, client: "Client | None" = None, settings: TreeSettings | None = None
) -> TreeModel:
    """Return trees that are fitted on top of the recalibrated beliefs.

    Args:
        judged: Judged requests.
        client: `dask.distributed.Client` of the workers that fit the trees; None: this process fits them. Workers draw
            the columns of a tree in another order. So single predictions differ by about 0.01; they are as good.
        settings: Settings of the trees; None: the defaults.
    """
    settings = settings or TreeSettings()
    beliefs = BeliefLearner().fit(judged)
    columns, start = _columns(judged.pairs), _log_odds(beliefs, judged.pairs)
    if client is not None:
        return TreeModel(beliefs, _fit_distributed(columns, start, judged, client, settings), settings.threads)
    import lightgbm

    data = lightgbm.Dataset(
        columns,
        judged.reward,
        weight=judged.weight,
        init_score=start,
        categorical_feature=[0],
        free_raw_data=True,
        params={"verbose": -1, "max_bin": 63, "num_threads": settings.threads},
    )
    return TreeModel(beliefs, lightgbm.train(settings.parameters(), data, settings.n_rounds), settings.threads)


def _fit_distributed(
    columns: Float32s, start: Floats, judged: JudgedPairs, client: "Client", settings: TreeSettings
) -> "lightgbm.Booster":
    import dask.array
    import lightgbm

    rows = max(len(columns) // 8, 10_000)
    parts = [
        dask.array.from_array(values, chunks=(rows, *values.shape[1:]))  # type: ignore[no-untyped-call]  # untyped
        for values in (columns, judged.reward, judged.weight, start)
    ]
    learner = lightgbm.DaskLGBMRegressor(client=client, n_estimators=settings.n_rounds)
    learner.set_params(**{name: value for name, value in settings.parameters().items() if name != "num_threads"})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Parameter n_jobs")  # LightGBM warns about its own default
        fitted = learner.fit(parts[0], parts[1], sample_weight=parts[2], init_score=parts[3], categorical_feature=[0])
    booster: lightgbm.Booster = fitted.booster_
    return booster


def _columns(pairs: LanePairs) -> Float32s:
    """Return the columns that the trees split on, shape (k, 2 + p): the lane first, as a category."""
    return np.column_stack([pairs.lane, pairs.quality_logit, pairs.numbers]).astype(np.float32)


def _log_odds(beliefs: BeliefModel, pairs: LanePairs) -> Floats:
    return beliefs.offset + beliefs.slope * pairs.quality_logit + beliefs.shift[pairs.lane]
