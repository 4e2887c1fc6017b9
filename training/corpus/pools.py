"""Makes the pools that routers are measured on, from a corpus."""

import numpy as np

from training.corpus.graded_corpus import Corpus, Float32s
from training.corpus.routing_measures import Pool
from training.errors import TrainingError

ANSWERED_SHARE = 0.93
CHARACTERS_PER_TOKEN = 4
ASSUMED_COMPLETION_TOKENS = 250.0
_FEWEST_MODELS = 3


def make_pools(corpus: Corpus, prices: Float32s) -> list[Pool]:
    """Return the pools of a corpus that have at least three priced models, in order of source.

    Args:
        corpus: Graded answers.
        prices: Shape (m, 2), USD per million input and output tokens; NaN where unknown.

    Raises:
        TrainingError: No source has such a pool.
    """
    pools = find_pools(corpus, prices)
    if not pools:
        raise TrainingError(
            f"no source has {_FEWEST_MODELS} models that answered {ANSWERED_SHARE:.0%} of its prompts "
            "and are in prices.csv: add their prices or grade more answers"
        )
    return pools


def find_pools(corpus: Corpus, prices: Float32s) -> list[Pool]:
    """Return the same pools as `make_pools`, or an empty list if there is none."""
    return [
        pool for source in np.unique(corpus.sources) if (pool := _make_pool(corpus, prices, str(source))) is not None
    ]


def _make_pool(corpus: Corpus, prices: Float32s, source: str) -> Pool | None:
    of_source = corpus.sources == source
    answered = ~np.isnan(corpus.scores)
    share = answered[of_source].sum(axis=0) / max(int(answered[of_source].any(axis=1).sum()), 1)
    columns = np.flatnonzero((share >= ANSWERED_SHARE) & ~np.isnan(prices).any(axis=1))
    if len(columns) < _FEWEST_MODELS:
        return None
    rows = np.flatnonzero(of_source & ~corpus.is_near_duplicate & answered[:, columns].all(axis=1))
    if not len(rows):
        return None
    tokens = corpus.completion_tokens[np.ix_(rows, columns)].astype(np.float64)
    has_tokens = not np.isnan(tokens).all()
    tokens = np.nan_to_num(tokens, nan=ASSUMED_COMPLETION_TOKENS)
    input_usd, output_usd = prices[columns].astype(np.float64).T / 1e6
    characters = np.array([len(corpus.prompts[row]) for row in rows], np.float64)
    prompt_cost = characters[:, None] / CHARACTERS_PER_TOKEN * input_usd  # (n, m)
    names = tuple(corpus.trained_names[column] for column in columns)
    score = corpus.scores[np.ix_(rows, columns)].astype(np.float64)
    return Pool(
        source, names, rows, columns, score, prompt_cost + tokens * output_usd, prompt_cost, output_usd, has_tokens
    )
