"""Draws the sample of graded answers that a bundle contains."""

import numpy as np
import numpy.typing as npt

from router.reference_answers import ReferenceAnswers
from router.text_window import estimate_tokens
from training.corpus.graded_corpus import Corpus
from training.network.fitted_model import Beliefs

_PROMPTS_PER_SOURCE = 2_000


def sample_reference(
    corpus: Corpus, honest: Beliefs, seed: int, demand: npt.NDArray[np.float32] | None = None
) -> ReferenceAnswers:
    """Return a sample of up to 2,000 prompts of each source, without near-duplicates.

    Args:
        corpus: Graded answers to draw from.
        honest: Out-of-fold beliefs about all of its prompts.
        seed: Seed of the random sample.
        demand: Demand vectors of all prompts, shape (n, n_demands); None: the bundle has no catalogue models.
    """
    rng = np.random.default_rng(seed)
    names, source = np.unique(corpus.sources, return_inverse=True)
    kinds, task = np.unique(corpus.task_kinds(), return_inverse=True)
    parts = []
    for number in range(len(names)):
        rows = np.flatnonzero((source == number) & ~corpus.is_near_duplicate)
        parts.append(rng.choice(rows, min(_PROMPTS_PER_SOURCE, len(rows)), replace=False))
    drawn = np.sort(np.concatenate(parts))
    return ReferenceAnswers(
        quality=honest.quality[drawn],
        completion_tokens=honest.completion_tokens[drawn],
        score=corpus.scores[drawn],
        answer_tokens=corpus.completion_tokens[drawn],
        difficulty=honest.difficulty[drawn],
        prompt_tokens=np.array([estimate_tokens(len(corpus.prompts[row])) for row in drawn], np.float32),
        source=source[drawn].astype(np.uint16),
        task=task[drawn].astype(np.uint16),
        task_names=kinds,
        demand=None if demand is None else demand[drawn],
    )
