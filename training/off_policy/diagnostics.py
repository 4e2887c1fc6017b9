"""Measures how well the logs support a judgement of a policy, and decides when they cannot tell."""

from dataclasses import dataclass

import numpy as np

from training.off_policy.estimators.port import Probabilities
from training.off_policy.intervals.conversations import Conversations
from training.telemetry.logged_requests import Floats, LoggedRequests


@dataclass(frozen=True, slots=True)
class SupportLimits:
    """Limits beyond which logs are refused. The defaults are rules of thumb; with looser limits figures can mislead.

    Args:
        fewest_effective: Smallest effective number of judged requests; with fewer, intervals cover less than their
            level.
        fewest_conversations: Smallest number of conversations with a judged draw.
        largest_share: Largest share of the weight that a single request may have.
        most_unsupported: Largest share of the policy's probability on lanes that could not have been drawn.
        rare_below: Probability below which a drawn lane counts as rarely drawn; that is reported, not refused.
        most_mean_weight_error: Largest distance of the mean weight from 1, in standard errors. The mean is 1 except for
            chance, so a larger distance shows that the logged probabilities are wrong.
    """

    fewest_effective: float = 100.0
    fewest_conversations: int = 50
    largest_share: float = 0.1
    most_unsupported: float = 0.02
    rare_below: float = 0.01
    most_mean_weight_error: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class LaneOverlap:
    """How often a lane was drawn in the logs, and how often the policy would take it.

    Args:
        lane_id: Lane id.
        logged, wanted: Mean probability of the lane in the logs, and under the policy.
        unsupported: Share of all requests in which the policy would take the lane but it could not have been drawn.
        n_judged: Number of judged answers of the lane.
    """

    lane_id: str
    logged: float
    wanted: float
    unsupported: float
    n_judged: int


@dataclass(frozen=True, slots=True, eq=False)
class Diagnostics:
    """Support in the logs for a policy, or for the difference of two policies.

    Args:
        n_requests, n_judged, n_conversations: Numbers in the logs; a conversation counts if it has a judged request
            with a weight above 0.
        effective: Effective number of all requests, (sum w)^2 / sum w^2 (Kish 1965).
        effective_judged: Effective number of judged requests, with their observation weights.
        largest_share: Largest share of a single request in the weight of the judged requests.
        mean_weight, mean_weight_error: Mean of w, which is 1 if the logged probabilities are right, and its distance
            from 1 in standard errors.
        unsupported, rare: Shares of the policy's probability on lanes that could not be drawn, and that rarely were.
        lanes: Overlap of each lane that the logs or the policy would take.
        disagreement: Share of requests for which two policies would take different lanes, 0..1; None for one policy.
    """

    n_requests: int
    n_judged: int
    n_conversations: int
    effective: float
    effective_judged: float
    largest_share: float
    mean_weight: float
    mean_weight_error: float
    unsupported: float
    rare: float
    lanes: tuple[LaneOverlap, ...]
    disagreement: float | None = None


def diagnose(
    logs: LoggedRequests,
    policy: Probabilities,
    observation: Floats,
    conversations: Conversations,
    limits: SupportLimits,
) -> Diagnostics:
    """Return the support in the logs for a policy.

    Args:
        logs: Logged requests.
        policy: Shape (n, m), the policy's probabilities.
        observation: Shape (n,), 1 / probability of being judged for a judged request, 0 for others.
        conversations: Conversations of the requests.
        limits: Limits; they define when a lane counts as rarely drawn.
    """
    weight = drawn_of(policy, logs) / logs.propensity
    return _diagnose(logs, policy, weight, observation, conversations, limits, None)


def diagnose_difference(
    logs: LoggedRequests,
    first: Probabilities,
    second: Probabilities,
    observation: Floats,
    conversations: Conversations,
    limits: SupportLimits,
) -> Diagnostics:
    """Return the support in the logs for the difference of two policies.

    Only requests on which the policies differ need support.
    """
    apart = np.abs(np.asarray(first, np.float64) - second)
    disagreement = float(apart.sum(axis=1).mean() / 2)
    weight = drawn_of(apart, logs) / logs.propensity
    return _diagnose(logs, apart, weight, observation, conversations, limits, disagreement)


def refusals(support: Diagnostics, limits: SupportLimits, *, of_judged: bool) -> tuple[str, ...]:
    """Return the reasons why the logs cannot tell, one sentence each; empty if they can.

    Args:
        support: Diagnostics of a policy or of a difference.
        limits: Limits of the support.
        of_judged: Whether the figure is estimated from judged answers (quality, utility) or from all (cost, latency).
    """
    if support.disagreement == 0:
        return ()
    reasons = []
    if support.unsupported > limits.most_unsupported:
        worst = max(support.lanes, key=lambda lane: lane.unsupported)
        reasons.append(
            f"{support.unsupported:.0%} of its choices could not have been drawn when these requests were logged "
            f"(mostly {worst.lane_id}; at most {limits.most_unsupported:.0%} is allowed): log with exploration on"
        )
    effective = support.effective_judged if of_judged else support.effective
    if effective < limits.fewest_effective:
        kind = "judged requests" if of_judged else "requests"
        reasons.append(
            f"only {effective:.0f} {kind} count effectively ({limits.fewest_effective:.0f} are needed): log more, or "
            "explore more"
        )
    elif of_judged and support.n_conversations < limits.fewest_conversations:
        reasons.append(
            f"only {support.n_conversations} conversations have a judged request that counts "
            f"({limits.fewest_conversations} are needed)"
        )
    if of_judged and support.largest_share > limits.largest_share:
        reasons.append(
            f"a single request has {support.largest_share:.0%} of the weight (at most {limits.largest_share:.0%} is "
            "allowed)"
        )
    if support.disagreement is None and abs(support.mean_weight_error) > limits.most_mean_weight_error and not reasons:
        reasons.append(
            f"the mean weight is {support.mean_weight:.2f}, {support.mean_weight_error:+.1f} standard errors from 1: "
            "the lanes were not drawn with the logged probabilities"
        )
    return tuple(reasons)


def drawn_of(policy: Probabilities, logs: LoggedRequests) -> Floats:
    """Return the policy's probability of each drawn lane, shape (n,)."""
    return policy[np.arange(len(logs)), logs.chosen].astype(np.float64)


def _diagnose(
    logs: LoggedRequests,
    policy: Probabilities,
    weight: Floats,
    observation: Floats,
    conversations: Conversations,
    limits: SupportLimits,
    disagreement: float | None,
) -> Diagnostics:
    total = max(float(policy.sum()), 1e-12)
    could_be = logs.probability > 0
    unsupported = np.where(could_be, 0, policy).sum(axis=0)  # (m,)
    rare = float(np.where(could_be & (logs.probability < limits.rare_below), policy, 0).sum())
    judged = weight * observation
    n_conversations = len(np.unique(conversations.number[judged > 0]))
    spread = float(weight.std()) / np.sqrt(max(len(weight), 1))
    mean_weight = float(weight.mean())
    # Lanes that could not be drawn lower the mean weight by exactly their share.
    missing = float(unsupported.sum()) / len(logs)
    return Diagnostics(
        len(logs),
        int((observation > 0).sum()),
        n_conversations,
        effective_size(weight),
        effective_size(judged),
        float(judged.max(initial=0.0) / max(judged.sum(), 1e-12)),
        mean_weight,
        (mean_weight + missing - 1) / max(spread, 1e-9),
        float(unsupported.sum()) / total,
        rare / total,
        _overlap(logs, policy, unsupported, observation),
        disagreement,
    )


def effective_size(weight: Floats) -> float:
    """Return (sum w)^2 / sum w^2; 0 if all weights are 0."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def _overlap(
    logs: LoggedRequests, policy: Probabilities, unsupported: Floats, observation: Floats
) -> tuple[LaneOverlap, ...]:
    n = len(logs)
    logged, wanted = logs.probability.mean(axis=0, dtype=np.float64), policy.mean(axis=0, dtype=np.float64)
    judged = np.bincount(logs.chosen[observation > 0], minlength=len(logs.lane_ids))
    return tuple(
        LaneOverlap(lane, float(logged[place]), float(wanted[place]), float(unsupported[place]) / n, int(judged[place]))
        for place, lane in enumerate(logs.lane_ids)
        if logged[place] > 0 or wanted[place] > 0
    )
