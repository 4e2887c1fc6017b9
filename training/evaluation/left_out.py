"""Judges each source with a network that saw none of it: does the knowledge of difficulty carry over?

The models of a source that was left out count as new. So a router knows only the prompt's difficulty and which model is
stronger.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.corpus.graded_corpus import Corpus
from training.corpus.routing_measures import Floats, Pool, area_under_gap_recovered
from training.evaluation.bar_check import drift
from training.network.cross_fit import targets_of
from training.network.encoding import EncodedPrompts
from training.network.fitting import fit_network
from training.network.input_scaler import InputScaler
from training.network.outputs import run_network
from training.settings import FitSettings

BAR_SHARE = 0.95
_WEAKER_SHARE = 2 / 3
_LEAST_GAP = 0.05


@dataclass(frozen=True, slots=True)
class LeftOutSource:
    """The results on a source that the network did not see.

    Args:
        source: Name of the source.
        gap_recovered: `area_under_gap_recovered` between the strongest model and each of the weaker two thirds; mean.
        by_length: The same mean if the longest prompts count as the hardest.
        pairs: Number of pairs of models in the mean.
        kept: Share of the best model's mean score that a bar of `BAR_SHARE` keeps; see
            `training.evaluation.bar_check.drift`.
    """

    source: str
    gap_recovered: float
    by_length: float
    pairs: int
    kept: float


def judge_left_out(
    corpus: Corpus,
    encoded: EncodedPrompts,
    pools: Sequence[Pool],
    settings: FitSettings,
    seed: int,
    advance: Callable[[float], None] = lambda share: None,
) -> list[LeftOutSource]:
    """Return one entry per pool, unless its source is the whole corpus.

    `advance` is called with the share of one pool's fit that is done since the last call.
    """
    return [
        _judge(corpus, encoded, pools, pool, settings, seed, advance)
        for pool in pools
        if (corpus.sources != pool.source).any()
    ]


def _judge(
    corpus: Corpus,
    encoded: EncodedPrompts,
    pools: Sequence[Pool],
    pool: Pool,
    settings: FitSettings,
    seed: int,
    advance: Callable[[float], None],
) -> LeftOutSource:
    kept = np.flatnonzero(corpus.sources != pool.source)
    scaler = InputScaler.fit(encoded.rows(kept))
    network = fit_network(
        scaler.transform(encoded.rows(kept)), targets_of(corpus, pools, kept), settings, seed, None, advance
    )
    difficulty = run_network(network, scaler.transform(encoded.rows(pool.rows))).difficulty.astype(np.float64)
    length = np.array([len(corpus.prompts[row]) for row in pool.rows], np.float64)
    pairs = _pairs(pool)

    def mean_recovered(hardness: Floats) -> float:
        recovered = [
            area_under_gap_recovered(hardness, pool.score[:, strong], pool.score[:, weak]) for strong, weak in pairs
        ]
        return float(np.mean(recovered)) if recovered else float("nan")

    elsewhere = run_network(network, scaler.transform(encoded.rows(kept))).difficulty.astype(np.float64)
    chance = pool.score.mean(axis=0).clip(0.01, 0.99)
    abilities = np.log(chance / (1 - chance)) + difficulty.mean()
    kept_share = drift(pool, difficulty, elsewhere, abilities.tolist(), BAR_SHARE)
    return LeftOutSource(pool.source, mean_recovered(difficulty), mean_recovered(length), len(pairs), kept_share)


def _pairs(pool: Pool) -> list[tuple[int, int]]:
    means = pool.score.mean(axis=0)
    ranked = np.argsort(-means).tolist()
    strongest, weaker = ranked[0], ranked[len(ranked) - int(len(ranked) * _WEAKER_SHARE) :]
    return [(strongest, weak) for weak in weaker if means[strongest] - means[weak] >= _LEAST_GAP]
