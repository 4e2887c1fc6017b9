"""The beliefs of a router that never saw a source, about that source's prompts and models.

They stand for the beliefs about an account with a new kind of traffic.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from router.ability_prior import AbilityPrior
from router.account_correction import PromptSpace
from router.log_odds import sigmoid
from training.corpus.graded_corpus import Corpus, Float32s
from training.corpus.pools import find_pools
from training.corpus.routing_measures import Floats, Pool
from training.corpus.splits import assign_folds, group_near_duplicates
from training.errors import SettingsError
from training.network.calibration import fit_calibration
from training.network.cross_fit import targets_of
from training.network.encoding import EncodedPrompts
from training.network.fitted_model import Beliefs
from training.network.fitting import fit_network
from training.network.input_scaler import InputScaler
from training.network.outputs import run_network
from training.settings import FitSettings

_CALIBRATED_SHARE = 7
"""One prompt in this many, of the other sources, is not fitted to; it serves for calibration and as reference."""


@dataclass(frozen=True, slots=True, eq=False)
class OutsideBeliefs:
    """Beliefs about a pool of `n` prompts and `m` models.

    Args:
        pool: Pool of the source that was left out.
        quality: Shape (n, m), P(good answer).
        completion_tokens: Shape (n, m), expected length of the answer.
        design: Shape (n, k + 1), (1, components) of the prompts.
        n_known: Number of the pool's models that answered prompts of other sources. Beliefs about the other models
            follow from their price and family.
    """

    pool: Pool
    quality: Floats
    completion_tokens: Floats
    design: Floats
    n_known: int


def believe_from_outside(
    corpus: Corpus,
    encoded: EncodedPrompts,
    prices: Float32s,
    pool: Pool,
    settings: FitSettings,
    seed: int,
    advance: Callable[[float], None] = lambda share: None,
) -> OutsideBeliefs:
    """Fit a network to all other sources and return its beliefs about the pool.

    Args:
        corpus: Graded answers.
        encoded: Prompts of the corpus.
        prices: Prices of the models in the corpus, shape (m, 2).
        pool: Pool of the source that is left out.
        settings, seed: Settings of the fit and seed of its random generator.
        advance: Function called with shares of the fit.

    Raises:
        SettingsError: Too few models of other sources have a price.
    """
    kept = np.flatnonzero(corpus.sources != pool.source)
    columns = np.flatnonzero(~np.isnan(corpus.scores[kept]).all(axis=0))
    others, other_prices = corpus.of_models(columns), prices[columns]
    fold = assign_folds(group_near_duplicates([corpus.prompts[row] for row in kept]), _CALIBRATED_SHARE, seed)
    fitted, aside = kept[fold != 0], kept[fold == 0]
    scaler = InputScaler.fit(encoded.rows(fitted))
    targets = targets_of(others, find_pools(others, other_prices), fitted)
    network = fit_network(scaler.transform(encoded.rows(fitted)), targets, settings, seed, None, advance)
    outputs = run_network(network, scaler.transform(encoded.rows(aside)))
    calibration = fit_calibration(outputs, others.scores[aside], others.completion_tokens[aside], others.sources[aside])
    prior = AbilityPrior.fit(others.trained_names, calibration.abilities.tolist(), other_prices[:, 1].tolist())
    if prior is None:
        raise SettingsError(f"without {pool.source} too few models have a price: add their prices to prices.csv")
    beliefs = Beliefs.of(run_network(network, scaler.transform(encoded.rows(pool.rows))), calibration)
    quality = np.empty(pool.score.shape)
    tokens = np.empty(pool.score.shape)
    place_of = {name: place for place, name in enumerate(others.trained_names)}
    for column, name in enumerate(pool.trained_names):
        place = place_of.get(name)
        if place is not None:
            quality[:, column], tokens[:, column] = beliefs.quality[:, place], beliefs.completion_tokens[:, place]
            continue
        ability = prior.of(name, float(prices[pool.columns[column], 1]))
        flatness = 1 / np.sqrt(1 + np.pi / 8 * prior.std**2)
        quality[:, column] = sigmoid((ability - beliefs.difficulty.astype(np.float64)) * flatness)
        tokens[:, column] = beliefs.completion_tokens.mean(axis=1)
    space = PromptSpace.of_beliefs(Beliefs.of(outputs, calibration).quality)
    n_known = sum(name in place_of for name in pool.trained_names)
    return OutsideBeliefs(pool, quality, tokens, space.design(beliefs.quality), n_known)
