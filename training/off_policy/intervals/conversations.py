"""The influence of whole conversations on an estimate, from which intervals are computed."""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from router.verdict import Interval
from training.off_policy.estimators.port import Estimate, Floats

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Conversations:
    """The conversation of each request; there are `g` conversations, in order of their first request.

    Args:
        number: Shape (n,), 0..g-1, conversation of each request.
        sizes: Shape (g,), number of requests of each conversation.
    """

    number: Ints
    sizes: Ints

    @classmethod
    def of(cls, clusters: Ints) -> Self:
        """Number conversations by their first request.

        Args:
            clusters: Shape (n,), as `LoggedRequests.clusters` returns them, in order of time.
        """
        _, first, inverse = np.unique(clusters, return_index=True, return_inverse=True)
        place = np.empty(len(first), np.intp)
        place[np.argsort(first, kind="stable")] = np.arange(len(first))
        number = place[inverse]
        return cls(number, np.bincount(number, minlength=len(first)))

    def __len__(self) -> int:
        return len(self.sizes)

    def influence(self, estimate: Estimate) -> Floats:
        """Return the influence of each conversation, shape (g,); its mean is the mean influence of the requests."""
        sums = np.bincount(self.number, estimate.influence, len(self))
        return np.asarray(sums * (len(self) / len(self.number)), np.float64)


class IntervalMaker(Protocol):
    """Computes intervals of estimates on the same conversations."""

    def interval(self, estimate: Estimate) -> Interval | None:
        """Return the interval.

        None: there is no interval of this kind for the estimate, or there are fewer than two conversations.
        """
        ...
