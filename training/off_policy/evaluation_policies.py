"""The policies that can be judged on logs. Each maps logged requests to probabilities of lanes.

The text form of a policy is read by `policy_specs`.

Lanes of a larger fallback tier (a caller's soft preferences, or a reserve) come after the others, as they did at
decision time. Logs from before telemetry schema 3 do not have the tiers. There a policy behaves as the one in
`router.policies` does for a caller without soft preferences.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from router.policies.best_value import DEFAULT_WILLINGNESS_TO_PAY_USD
from router.policies.cheapest_above_bar import DEFAULT_BAR
from training.off_policy.errors import PolicySpecError
from training.telemetry.logged_requests import Floats, LoggedRequests

Beliefs = Callable[[LoggedRequests], LoggedRequests]
"""Returns the same requests with other beliefs about the lanes."""


class EvaluationPolicy(Protocol):
    """A policy to be judged. Stateless and deterministic."""

    @property
    def name(self) -> str:
        """Name that reports show."""
        ...

    @property
    def needs_text(self) -> bool:
        """Whether the policy can only be judged on requests whose text was kept."""
        ...

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return the probability of each lane, shape (n, m): rows sum to 1, and lanes that were not eligible have 0."""
        ...


@dataclass(frozen=True, slots=True)
class LoggedPolicy:
    """The policy that the gateway used when it logged the requests."""

    name: str = "logged"
    needs_text: bool = False

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return the logged probabilities."""
        return logs.probability.astype(np.float64)


@dataclass(frozen=True, slots=True)
class OneLane:
    """Takes always the same lane; if it was not eligible, does what the logged policy would do."""

    lane_id: str
    needs_text: bool = False

    @property
    def name(self) -> str:
        """Name that reports show."""
        return f"lane:{self.lane_id}"

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return 1 for the lane.

        Raises:
            PolicySpecError: The logs have no such lane.
        """
        if self.lane_id not in logs.lane_ids:
            near = ", ".join(logs.lane_ids[:12])
            raise PolicySpecError(f"policy {self.name!r}: the logs have no such lane: use one of {near}")
        place = logs.lane_ids.index(self.lane_id)
        can = logs.is_eligible[:, place]
        probabilities = np.where(can[:, None], 0.0, logs.probability)
        probabilities[can, place] = 1.0
        return probabilities


@dataclass(frozen=True, slots=True)
class GreedyPolicy:
    """Takes the lane with the best score by the logged beliefs, or by other beliefs. The first lane wins a tie.

    Args:
        rule: Name of the rule, one of `RULES`.
        worth_usd: Value of a good answer if the caller did not state one (`best_value`), USD.
        bar: Smallest P(good) that is wanted if the caller did not state one (`cheapest_above_bar`).
        latency_usd_per_s: Cost of a second of waiting (`best_value`), USD.
        beliefs: Function that replaces the logged beliefs; None: they stay.
        needs_text: Whether `beliefs` needs the text.
        title: Name that reports show; None: the rule's name.
    """

    rule: str
    worth_usd: float = DEFAULT_WILLINGNESS_TO_PAY_USD
    bar: float = DEFAULT_BAR
    latency_usd_per_s: float = 0.0
    beliefs: Beliefs | None = None
    needs_text: bool = False
    title: str | None = None

    @property
    def name(self) -> str:
        """Name that reports show."""
        return self.title or self.rule

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return 1 for the best lane; without a belief about any eligible lane, the logged policy's probabilities."""
        believed = logs if self.beliefs is None else self.beliefs(logs)
        return take_best(logs, RULES[self.rule](self, believed))


@dataclass(frozen=True, slots=True)
class MixedPolicy:
    """Mixes another policy with a uniform draw over the eligible lanes, which a share `epsilon` of requests gets."""

    base: EvaluationPolicy
    epsilon: float

    @property
    def name(self) -> str:
        """Name that reports show."""
        return f"epsilon={self.epsilon:g},{self.base.name}"

    @property
    def needs_text(self) -> bool:
        """Whether the policy can only be judged on requests whose text was kept."""
        return self.base.needs_text

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return the mixture."""
        alike = logs.is_eligible / np.maximum(logs.is_eligible.sum(axis=1, keepdims=True), 1)
        return np.asarray((1 - self.epsilon) * self.base.probabilities(logs) + self.epsilon * alike, np.float64)


def take_best(logs: LoggedRequests, scores: Floats) -> Floats:
    """Return 1 for the best lane of the lowest fallback tier that has an eligible lane, shape (n, m).

    If no eligible lane has a score, the result is the logged policy's probabilities.

    Args:
        logs: Logged requests.
        scores: Shape (n, m), score of each lane; NaN if there is no belief about the lane.
    """
    is_candidate = logs.is_eligible & ~np.isnan(scores)
    if logs.fallback_tier is not None:
        last = np.iinfo(logs.fallback_tier.dtype).max
        tier = np.where(is_candidate, logs.fallback_tier, last)
        is_candidate &= tier == tier.min(axis=1, keepdims=True)
    scores = np.where(is_candidate, scores, -np.inf)
    best = scores.argmax(axis=1)
    rows = np.arange(len(logs))
    is_decided = scores[rows, best] > -np.inf
    probabilities = np.where(is_decided[:, None], 0.0, logs.probability)
    probabilities[rows[is_decided], best[is_decided]] = 1.0
    return probabilities


def _best_value(policy: GreedyPolicy, logs: LoggedRequests) -> Floats:
    stated = logs.willingness_to_pay_usd
    worth = np.where(np.isnan(stated), policy.worth_usd, stated)[:, None]
    scores = worth * logs.quality - logs.expected_cost_usd
    if policy.latency_usd_per_s:
        scores = scores - policy.latency_usd_per_s * logs.expected_latency_ms / 1_000
    return np.asarray(scores, np.float64)


def _cheapest(policy: GreedyPolicy, logs: LoggedRequests) -> Floats:
    return -logs.expected_cost_usd.astype(np.float64)


def _cheapest_above_bar(policy: GreedyPolicy, logs: LoggedRequests) -> Floats:
    stated = logs.quality_bar
    is_above = logs.quality >= np.where(np.isnan(stated), policy.bar, stated)[:, None]
    # Lanes above the bar rank by cost, and come first; lanes below it rank by quality. No request costs a million
    # dollars, so the two kinds of score never overlap.
    return np.where(is_above, -logs.expected_cost_usd.astype(np.float64), logs.quality.astype(np.float64) - 1e6)


def _lowest_latency(policy: GreedyPolicy, logs: LoggedRequests) -> Floats:
    is_below = logs.quality < np.where(np.isnan(logs.quality_bar), -np.inf, logs.quality_bar)[:, None]
    return -logs.expected_latency_ms.astype(np.float64) - np.where(is_below, 1e9, 0)


def _best_quality(policy: GreedyPolicy, logs: LoggedRequests) -> Floats:
    return logs.quality.astype(np.float64)


RULES: Mapping[str, Callable[[GreedyPolicy, LoggedRequests], Floats]] = MappingProxyType(
    {
        "best_value": _best_value,
        "cheapest": _cheapest,
        "cheapest_above_bar": _cheapest_above_bar,
        "lowest_latency": _lowest_latency,
        "best_quality": _best_quality,
    }
)
"""`best_quality` is `best_value` with an unlimited value of a good answer; the others are as in `router.policies`."""
