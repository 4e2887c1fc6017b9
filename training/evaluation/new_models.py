"""Measures how well a few graded answers place a new model.

The model is left out of every fit, then placed by a few graded answers, and put back into its pool. The results are
compared with those of a full fit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.ability_prior import AbilityPrior, family_of
from router.log_odds import logit, sigmoid
from router.placement import GradedAnswers, Placement, PlacementSpace
from training.bundle.reference_sample import sample_reference
from training.corpus.graded_corpus import Corpus, Float32s
from training.corpus.pools import find_pools
from training.corpus.routing_measures import Floats, Pool, measure_router
from training.network.cross_fit import fit_out_of_fold
from training.network.encoding import EncodedPrompts
from training.network.fitted_model import Beliefs
from training.settings import FitSettings

N_ANSWERS = 50
N_ROUNDS = 4
_CANDIDATES = 1_500
"""Number of a source's prompts that the few answers are taken from; the figures come from all prompts."""
WAYS = ("chosen", "drawn", "price", "family", "none")
"""Ways to place a new model, in this order:

- answers to the most informative prompts,
- answers to random prompts,
- no answers, but its price and family,
- no answers, but the mean of its family,
- no answers: the mean of all models.
"""

WAY_TITLES = {
    "chosen": "50 chosen answers",
    "drawn": "50 drawn answers",
    "price": "its price and family",
    "family": "the mean of its family",
    "none": "the mean of all",
}


@dataclass(frozen=True, slots=True)
class NewModels:
    """The results of a pool's models, each of them treated as new in turn.

    Args:
        source: Source of the pool.
        gap_kept: Way -> gap closed with the new model's beliefs, divided by that with the fully trained ones; mean over
            models.
        least_gap_kept: Way -> the same ratio; least over models.
        brier_lost: Way -> Brier score of the new model's beliefs minus that of the trained ones; mean over models.
        models: Number of models.
    """

    source: str
    gap_kept: dict[str, float]
    least_gap_kept: dict[str, float]
    brier_lost: dict[str, float]
    models: int


def judge_new_models(
    corpus: Corpus,
    encoded: EncodedPrompts,
    pools: Sequence[Pool],
    prices: Float32s,
    trained: Beliefs,
    settings: FitSettings,
    seed: int,
    advance: Callable[[float], None] = lambda share: None,
) -> list[NewModels]:
    """Return one entry per pool.

    There are four rounds, and each leaves out a quarter of the models. So the networks that place a model never saw its
    grades.

    Args:
        corpus: Graded answers.
        encoded: Prompts of the corpus.
        pools: Pools of the corpus.
        prices: Shape (m, 2); prices of the models.
        trained: Out-of-fold beliefs of the full fit.
        settings, seed: Settings and seed of the fits.
        advance: Function to call with the share of one network's fit that is done since the last call; there are
            `4 * settings.n_folds` fits.
    """
    results: dict[str, list[dict[str, tuple[float, float]]]] = {pool.source: [] for pool in pools}
    turn = np.random.default_rng(seed).permutation(len(corpus.trained_names)) % N_ROUNDS
    for number in range(N_ROUNDS):
        kept = np.flatnonzero(turn != number)
        rest = corpus.of_models(kept)
        fits = fit_out_of_fold(rest, encoded, find_pools(rest, prices[kept]), settings, seed, None, advance)
        beliefs = fits.honest_beliefs(rest)
        space = PlacementSpace.of(sample_reference(rest, beliefs, seed))
        kept_abilities = fits.calibrate(rest, None).abilities
        untested = _Untested(rest.trained_names, kept_abilities, prices[kept, 1].astype(np.float64))
        for pool in pools:
            for place in np.flatnonzero(turn[pool.columns] == number):
                abilities = untested.of(pool.trained_names[place], float(prices[pool.columns[place], 1]))
                results[pool.source].append(_judge(corpus, pool, int(place), trained, beliefs, space, abilities, seed))
    return [_summary(pool.source, results[pool.source]) for pool in pools]


class _Untested:
    """What is known about a model without any answer."""

    def __init__(self, names: Sequence[str], abilities: Floats, output_usd: Floats) -> None:
        self._names, self._abilities = names, abilities
        self._by_price = AbilityPrior.fit(names, abilities.tolist(), output_usd.tolist())

    def of(self, name: str, output_usd: float) -> dict[str, tuple[float, float] | tuple[None, None]]:
        """Return way -> (ability, its standard deviation)."""
        relatives = [
            self._abilities[place] for place, other in enumerate(self._names) if family_of(other) == family_of(name)
        ]
        mean, std = float(np.mean(relatives or self._abilities)), float(self._abilities.std())
        by_price = (
            (self._by_price.of(name, output_usd), self._by_price.std)
            if self._by_price and output_usd > 0
            else (mean, std)
        )
        return {"chosen": by_price, "drawn": by_price, "price": by_price, "family": (mean, std), "none": (None, None)}


def _judge(
    corpus: Corpus,
    pool: Pool,
    place: int,
    trained: Beliefs,
    beliefs: Beliefs,
    space: PlacementSpace,
    abilities: Mapping[str, tuple[float, float] | tuple[None, None]],
    seed: int,
) -> dict[str, tuple[float, float]]:
    """Return way -> (gap kept, Brier score lost) of the pool's model at `place`."""
    quality, tokens = pool.part_of(trained.quality), pool.part_of(trained.completion_tokens)
    score, column = pool.score[:, place], pool.columns[place]
    fully = measure_router(pool, quality, tokens)
    brier = float(((quality[:, place] - score) ** 2).mean())
    drawn = np.random.default_rng(seed).permutation(pool.rows)[:_CANDIDATES]
    asked = {"chosen": drawn[space.choose(beliefs.quality[drawn], N_ANSWERS)], "drawn": drawn[:N_ANSWERS]}
    results = {}
    for way in WAYS:
        rows = asked.get(way, drawn[:0])
        answers = GradedAnswers(
            beliefs.quality[rows],
            beliefs.completion_tokens[rows],
            corpus.scores[rows, column],
            corpus.completion_tokens[rows, column],
        )
        believed, length = apply_placement(
            space.place(answers, *abilities[way]), beliefs.quality[pool.rows], beliefs.completion_tokens[pool.rows]
        )
        quality[:, place], tokens[:, place] = believed, length
        measures = measure_router(pool, quality, tokens)
        results[way] = (measures.gap_closed / fully.gap_closed, float(((believed - score) ** 2).mean()) - brier)
    return results


def apply_placement(placement: Placement, quality: Float32s, completion_tokens: Float32s) -> tuple[Floats, Floats]:
    """Return (P(good answer), tokens) of a placed model, each (n,), from those of the trained models (n, m)."""
    steepness = 1 / np.sqrt(1 + np.pi / 8 * placement.logit_std**2)
    believed = sigmoid((logit(quality) @ placement.weights + placement.offset) * steepness)
    typical = completion_tokens.mean(axis=1).astype(np.float64)
    return believed, np.exp(placement.log_tokens_offset) * typical**placement.log_tokens_slope


def _summary(source: str, results: list[dict[str, tuple[float, float]]]) -> NewModels:
    table: npt.NDArray[np.float64] = np.array(
        [[result[way] for way in WAYS] for result in results]
    )  # (models, ways, 2)

    def by_way(values: Floats) -> dict[str, float]:
        return {way: float(value) for way, value in zip(WAYS, values, strict=True)}

    return NewModels(
        source,
        by_way(table[..., 0].mean(axis=0)),
        by_way(table[..., 0].min(axis=0)),
        by_way(table[..., 1].mean(axis=0)),
        len(results),
    )
