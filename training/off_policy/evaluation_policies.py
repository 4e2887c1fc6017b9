"""The policies that logs can be asked about. Each maps logged requests to probabilities of lanes; the words for them are in `policy_specs`.

Lanes that were put back, by a caller's soft preferences or as a reserve, come after the others here as they did when it was decided. Logs of before telemetry schema 3 do not
say so: there a policy is the one that `router.policies` has for a caller without such preferences.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import numpy as np

from router.policies.best_value import DEFAULT_WILLINGNESS_TO_PAY_USD
from training.off_policy.errors import PolicySpecError
from training.telemetry.logged_requests import Floats, LoggedRequests

Beliefs = Callable[[LoggedRequests], LoggedRequests]
"""Returns the same requests with other beliefs about the lanes."""


class EvaluationPolicy(Protocol):
    """A policy to be judged. Stateless and deterministic."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def needs_text(self) -> bool:
        """Whether it can only be followed on requests whose text was kept."""
        ...

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return the probability of each lane, shape (n, m); rows sum to 1 and are 0 where a lane was not eligible."""
        ...


@dataclass(frozen=True, slots=True)
class LoggedPolicy:
    """The policy that logged."""

    name: str = "logged"
    needs_text: bool = False

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return the logged probabilities."""
        return logs.probability.astype(np.float64)


@dataclass(frozen=True, slots=True)
class OneLane:
    """Always the same lane; where it was not eligible, what the logged policy would do."""

    lane_id: str
    needs_text: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"lane:{self.lane_id}"

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return 1 for the lane.

        Raises:
            PolicySpecError: The logs know no such lane.
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
    """Takes the lane with the best score by the logged beliefs, or by others; ties go to the first lane.

    Args:
        rule: One of `RULES`.
        worth_usd: What a good answer is worth where the caller did not say (`best_value`).
        bar: Least P(good) wanted where the caller did not say (`cheapest_above_bar`).
        latency_usd_per_s: What a second of waiting costs (`best_value`).
        beliefs: Takes the place of the logged beliefs; None: as logged.
        needs_text: Whether `beliefs` need the text.
        title: For people; None: made of the rule.
    """

    rule: str
    worth_usd: float = DEFAULT_WILLINGNESS_TO_PAY_USD
    bar: float = 0.7
    latency_usd_per_s: float = 0.0
    beliefs: Beliefs | None = None
    needs_text: bool = False
    title: str | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.title or self.rule

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return 1 for the best lane; what the logged policy would do where nothing is believed of any eligible lane."""
        believed = logs if self.beliefs is None else self.beliefs(logs)
        return take_best(logs, RULES[self.rule](self, believed))


@dataclass(frozen=True, slots=True)
class MixedPolicy:
    """Another policy, but for a share of requests that go to any eligible lane alike."""

    base: EvaluationPolicy
    epsilon: float

    @property
    def name(self) -> str:
        """For people."""
        return f"epsilon={self.epsilon:g},{self.base.name}"

    @property
    def needs_text(self) -> bool:
        """Whether it can only be followed on requests whose text was kept."""
        return self.base.needs_text

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return the mixture."""
        alike = logs.is_eligible / np.maximum(logs.is_eligible.sum(axis=1, keepdims=True), 1)
        return np.asarray((1 - self.epsilon) * self.base.probabilities(logs) + self.epsilon * alike, np.float64)


def take_best(logs: LoggedRequests, scores: Floats) -> Floats:
    """Return 1 for the best of the eligible lanes that were put back least, shape (n, m); what the logged policy would do where no eligible lane has a score.

    Args:
        logs: The requests.
        scores: Shape (n, m); NaN where nothing is believed of a lane.
    """
    is_candidate = logs.is_eligible & ~np.isnan(scores)
    if logs.demotion is not None:
        last = np.iinfo(logs.demotion.dtype).max
        put_back = np.where(is_candidate, logs.demotion, last)
        is_candidate &= put_back == put_back.min(axis=1, keepdims=True)
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
    # Those above by cost; where none is, by quality. Nothing costs a million dollars, so that the two never meet.
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
"""`best_quality` is `best_value` where money is no object; the others are those of `router.policies`."""
