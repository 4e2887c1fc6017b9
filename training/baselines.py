"""What any router has to beat: nearest neighbours, cross-fitted on the corpus itself."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.corpus import Corpus

Float32s = npt.NDArray[np.float32]

NEIGHBOURS = 100
_BATCH_PROMPTS = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourBeliefs:
    """Beliefs of the nearest-neighbour router about `n` prompts and `m` models.

    Args:
        quality: Shape (n, m), 0..1; the model's mean score where no neighbour was graded.
        completion_tokens: Shape (n, m); likewise.
    """

    quality: Float32s
    completion_tokens: Float32s


def predict_by_neighbours(corpus: Corpus, embeddings: Float32s, fold: npt.NDArray[np.intp]) -> NeighbourBeliefs:
    """Return, for each prompt, the mean over its 100 nearest prompts of the same source in the other folds, by cosine.

    Within the source, because only there the same models were graded: an operator who routes by neighbours would do the same.

    Args:
        corpus: Graded answers.
        embeddings: Shape (n, d), of unit length.
        fold: Shape (n,).
    """
    quality, tokens = np.empty_like(corpus.scores), np.empty_like(corpus.completion_tokens)
    for source, held_out in itertools.product(np.unique(corpus.sources), np.unique(fold)):
        of_source = corpus.sources == source
        known, asked = np.flatnonzero(of_source & (fold != held_out)), np.flatnonzero(of_source & (fold == held_out))
        if not len(known):  # a source whose prompts are all alike: fall back on everything else
            known = np.flatnonzero(fold != held_out)
        n_near = min(NEIGHBOURS, len(known))
        for start in range(0, len(asked), _BATCH_PROMPTS):
            rows = asked[start : start + _BATCH_PROMPTS]
            similarity = embeddings[rows] @ embeddings[known].T
            nearest = known[np.argpartition(-similarity, n_near - 1, axis=1)[:, :n_near]]  # (rows, neighbours)
            quality[rows] = _mean_known(corpus.scores, nearest, known)
            tokens[rows] = _mean_known(corpus.completion_tokens, nearest, known)
    return NeighbourBeliefs(quality, tokens)


def _mean_known(values: Float32s, nearest: npt.NDArray[np.intp], known: npt.NDArray[np.intp]) -> Float32s:
    near = values[nearest]  # (rows, neighbours, m)
    counts = (~np.isnan(near)).sum(axis=1)
    overall = np.nansum(values[known], axis=0) / np.maximum((~np.isnan(values[known])).sum(axis=0), 1)
    return np.asarray(np.where(counts > 0, np.nansum(near, axis=1) / np.maximum(counts, 1), overall), np.float32)
