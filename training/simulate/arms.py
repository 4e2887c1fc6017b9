"""The arms of a simulation: the interface of an arm, and the arms that need no bundle.

An arm is one way of routing. It learns from its own traffic alone: from the grades of the lanes that it drew.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training.simulate.world import Floats, Ints, Mask, World

Float32s = npt.NDArray[np.float32]

_N_NEIGHBOURS = 100
_PRIOR_ANSWERS = 5.0
"""The prior belief about a lane counts as much as so many answers."""
_UNKNOWN_SCORE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """All judged answers until a night.

    Args:
        rows: Shape (k,); rows of the corpus.
        lane: Shape (k,); columns of the world's lanes.
        reward: Shape (k,), 0..1; grades of the answers.
        tokens: Shape (k,); lengths of the answers.
    """

    rows: Ints
    lane: Ints
    reward: Floats
    tokens: Floats


class Arm(Protocol):
    """Routes requests and learns at night."""

    @property
    def name(self) -> str:
        """Name of the arm in the plot."""
        ...

    def probabilities(self, rows: Ints, day: int) -> Floats:
        """Return the probability that a lane answers a prompt, shape (n, lanes)."""
        ...

    def learn(self, day: int, seen: Observations) -> None:
        """Learn from all answers that were judged until the night after `day`."""
        ...


class Oracle:
    """Knows every grade, also future ones: no arm can be better.

    Args:
        world: The world.
    """

    name = "oracle"

    def __init__(self, world: World) -> None:
        self._world = world

    def probabilities(self, rows: Ints, day: int) -> Floats:
        """Return certainty for the best lane."""
        return greedy(self._world.utilities(rows, day), self._world.can_answer(rows, day))

    def learn(self, day: int, seen: Observations) -> None:
        """Learn nothing; it knows every grade already."""


class EpsilonGreedy:
    """Takes the lane with the best mean so far, and sometimes any lane; it ignores the prompt.

    Args:
        world: The world.
        epsilon: Share of requests that take any lane.
    """

    def __init__(self, world: World, epsilon: float) -> None:
        self.name = f"epsilon-greedy ({epsilon:.0%})"
        self._world, self._epsilon = world, epsilon
        self._score = np.full(len(world.names), _UNKNOWN_SCORE)
        self._tokens = np.full(len(world.names), np.nan)

    def probabilities(self, rows: Ints, day: int) -> Floats:
        """Return the best mean's lane, mixed with a share of any lane."""
        can_answer = self._world.can_answer(rows, day)
        believed = np.broadcast_to(self._score, can_answer.shape)
        return soften(
            greedy(utilities(self._world, rows, day, believed, self._tokens), can_answer), can_answer, self._epsilon
        )

    def learn(self, day: int, seen: Observations) -> None:
        """Take the means of all judged answers."""
        self._score, self._tokens = lane_means(seen, len(self._world.names))


class Neighbours:
    """Takes the lane with the best judged answers to the nearest prompts; explores like epsilon-greedy.

    The mean of the nearest answers is drawn towards the lane's mean.

    Args:
        world: The world.
        embeddings: Corpus row -> vector of unit length.
        epsilon: Share of requests that take any lane.
    """

    name = f"kNN-{_N_NEIGHBOURS}"

    def __init__(self, world: World, embeddings: Float32s, epsilon: float) -> None:
        self._world, self._embeddings, self._epsilon = world, embeddings, epsilon
        n = len(world.names)
        self._seen = Observations(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0), np.empty(0))
        self._score, self._tokens = np.full(n, _UNKNOWN_SCORE), np.full(n, np.nan)

    def probabilities(self, rows: Ints, day: int) -> Floats:
        """Return the best lane by its nearest answers, mixed with a share of any lane."""
        can_answer = self._world.can_answer(rows, day)
        believed = np.stack([self._belief(rows, lane) for lane in range(len(self._world.names))], axis=1)
        return soften(
            greedy(utilities(self._world, rows, day, believed, self._tokens), can_answer), can_answer, self._epsilon
        )

    def learn(self, day: int, seen: Observations) -> None:
        """Remember all judged answers."""
        self._seen = seen
        self._score, self._tokens = lane_means(seen, len(self._world.names))

    def _belief(self, rows: Ints, lane: int) -> Floats:
        mine = self._seen.lane == lane
        answered, reward = self._seen.rows[mine], self._seen.reward[mine]
        if not len(answered):
            return np.full(len(rows), self._score[lane])
        similarity = self._embeddings[rows] @ self._embeddings[answered].T  # (n, k)
        n_near = min(_N_NEIGHBOURS, len(answered))
        nearest = np.argpartition(-similarity, n_near - 1, axis=1)[:, :n_near]
        total = reward[nearest].sum(axis=1) + _PRIOR_ANSWERS * self._score[lane]
        return np.asarray(total / (n_near + _PRIOR_ANSWERS), np.float64)


def lane_means(seen: Observations, n_lanes: int) -> tuple[Floats, Floats]:
    """Return each lane's mean reward and mean answer length, shapes (lanes,).

    The reward is drawn towards 0.5. The length is NaN for a lane without judged answers.
    """
    counts = np.bincount(seen.lane, minlength=n_lanes)
    rewards = np.bincount(seen.lane, seen.reward, minlength=n_lanes)
    tokens = np.bincount(seen.lane, seen.tokens, minlength=n_lanes)
    score = (rewards + _PRIOR_ANSWERS * _UNKNOWN_SCORE) / (counts + _PRIOR_ANSWERS)
    return score, np.where(counts > 0, tokens / np.maximum(counts, 1), np.nan)


def utilities(world: World, rows: Ints, day: int, quality: Floats, tokens: Floats) -> Floats:
    """Return believed utilities, USD, shape (n, lanes), from believed quality and mean answer lengths.

    A length of NaN counts as the mean over the lanes, or as 250 if all are NaN.
    """
    typical = np.nanmean(tokens) if np.isfinite(tokens).any() else 250.0
    prompt_tokens = np.array([world.contexts[int(row)].prompt_tokens for row in rows], np.float64)
    rates = world.rates(day) / 1e6
    cost = prompt_tokens[:, None] * rates[:, 0] + np.where(np.isnan(tokens), typical, tokens) * rates[:, 1]
    return np.asarray(world.scenario.worth_usd * quality - cost)


def greedy(utility: Floats, can_answer: Mask) -> Floats:
    """Return certainty for the best lane of each row, shape (n, lanes)."""
    best = np.where(can_answer, utility, -np.inf).argmax(axis=1)
    probabilities = np.zeros(utility.shape)
    probabilities[np.arange(len(utility)), best] = 1.0
    return probabilities


def soften(probabilities: Floats, can_answer: Mask, epsilon: float) -> Floats:
    """Return the mixture with a share `epsilon` of any lane that can answer."""
    any_lane = can_answer / can_answer.sum(axis=1, keepdims=True)
    return np.asarray((1 - epsilon) * probabilities + epsilon * any_lane, np.float64)
