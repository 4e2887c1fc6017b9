"""Chooses the prompts whose answers say most about one model, one after another.

This is greedy I-optimal design: each prompt is the one whose answer lowers the mean variance of the belief over all
prompts most, given the prompts before it (Fedorov 1972, "Theory of Optimal Experiments"). The kinds of prompts take
turns, so that no kind is left out because it looks like another one to the quality model.
"""

import numpy as np

from router.arrays import Floats, Mask, Rows
from router.log_odds import sigmoid

_FARTHEST = 2.0
"""Larger components count as this when prompts are chosen: the line is least certain where prompts are rare."""


class PromptChoice:
    """The prompts that may be asked about one model, and what is expected of their answers.

    Args:
        design: (1, components) of the prompts, shape (n, k + 1), as `PlacementSpace.design` returns them.
        kinds: Number of each prompt's kind, 0 and above, shape (n,).
        mean, covariance: Belief about the model's coefficients, shapes (k + 1,) and (k + 1, k + 1).
    """

    def __init__(self, design: Floats, kinds: Rows, mean: Floats, covariance: Floats) -> None:
        self._design = design.clip(-_FARTHEST, _FARTHEST)
        self._kinds = kinds
        self._is_free: Mask = np.ones(len(design), np.bool_)
        self.believe(mean, covariance)

    @property
    def logit_std(self) -> float:
        """Standard deviation of the log odds of a good answer, over all prompts, once the expected answers are here."""
        return float(np.sqrt(np.trace(self._covariance)))  # the components have mean 0 and variance 1

    def believe(self, mean: Floats, covariance: Floats) -> None:
        """Start again from a belief. Prompts that were asked stay asked."""
        spread = np.einsum("nk,kl,nl->n", self._design, covariance, self._design)
        chance = sigmoid((self._design @ mean) / np.sqrt(1 + np.pi / 8 * spread))
        self._informative = self._design * np.sqrt(chance * (1 - chance))[:, None]
        self._covariance = covariance.copy()

    def gains(self) -> Floats:
        """Return how much the answer to each prompt would lower the mean variance, shape (n,).

        It is 0 for prompts that were asked, and for kinds that have had their turn.
        """
        reached = self._informative @ self._covariance
        gain = (reached**2).sum(axis=1) / (1 + (reached * self._informative).sum(axis=1))
        return np.asarray(np.where(self._may_be_asked(), gain, 0.0), np.float64)

    def mark_asked(self, place: int) -> None:
        """Do not offer a prompt again."""
        self._is_free[place] = False

    def mark_free(self, place: int) -> None:
        """Offer a prompt again: there was no answer."""
        self._is_free[place] = True

    def expect_answer(self, place: int) -> None:
        """Count on an answer to a prompt. Its information is taken at the belief, whatever the answer will be."""
        informative = self._informative[place]
        shrunk = self._covariance @ informative
        self._covariance = self._covariance - np.outer(shrunk, shrunk) / (1 + informative @ shrunk)

    def _may_be_asked(self) -> Mask:
        if not self._is_free.any():
            return self._is_free
        n_kinds = int(self._kinds.max()) + 1
        n_asked = np.bincount(self._kinds[~self._is_free], minlength=n_kinds)
        has_free = np.bincount(self._kinds[self._is_free], minlength=n_kinds) > 0
        return np.asarray(self._is_free & (n_asked == n_asked[has_free].min())[self._kinds], np.bool_)
