"""What the logs hold of a policy, and when that is too little to say anything."""

from dataclasses import dataclass

import numpy as np

from training.off_policy.estimators.port import Probabilities
from training.off_policy.intervals.conversations import Conversations
from training.telemetry.logged_requests import Floats, LoggedRequests


@dataclass(frozen=True, slots=True)
class SupportLimits:
    """When logs are refused. The defaults are rules of thumb; looser ones give figures that mean less than they seem to.

    Args:
        fewest_effective: Least effective number of judged requests; below it, intervals cover less than they say.
        fewest_conversations: Least number of conversations with a judged draw.
        largest_share: No single request may carry more than this share of the weight.
        most_unsupported: Most of the policy's probability that may lie on lanes that could not have been drawn.
        rare_below: A lane that was drawn with less than this probability counts as rarely drawn (told, not refused).
        most_mean_weight_error: The mean weight is 1 but for luck; farther from 1 by so many standard errors, the logged chances are wrong.
    """

    fewest_effective: float = 100.0
    fewest_conversations: int = 50
    largest_share: float = 0.1
    most_unsupported: float = 0.02
    rare_below: float = 0.01
    most_mean_weight_error: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class LaneOverlap:
    """How often a lane was drawn, and would be.

    Args:
        lane_id: The lane.
        logged, wanted: Shares of requests, by probability, of the logs and of the policy.
        unsupported: Share of all requests in which the policy would take it and the logs never could.
        n_judged: Judged answers of it.
    """

    lane_id: str
    logged: float
    wanted: float
    unsupported: float
    n_judged: int


@dataclass(frozen=True, slots=True, eq=False)
class Diagnostics:
    """What the logs hold of a policy, or of the difference of two.

    Args:
        n_requests, n_judged, n_conversations: In the logs; conversations are those with a judged request that counts.
        effective: (sum w)^2 / sum w^2 over all requests (Kish 1965).
        effective_judged: The same over judged requests, with their observation weights.
        largest_share: Of the judged requests' weight, the largest single one's.
        mean_weight, mean_weight_error: Mean of w, which is 1 when the logged chances are right, and its distance from 1 in standard errors.
        unsupported, rare: Shares of the policy's probability on lanes that could not be drawn, and rarely were.
        lanes: By lane, those that either would take.
        disagreement: Of a difference: how often the two would take different lanes, 0..1. None: of a single policy.
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
    """Return what the logs hold of a policy.

    Args:
        logs: The requests.
        policy: Shape (n, m), its probabilities.
        observation: Shape (n,), 1 / chance of being judged where judged, 0 elsewhere.
        conversations: Of the requests.
        limits: Say what is rare.
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
    """Return what the logs hold of where two policies differ; where they agree, nothing needs to be known."""
    apart = np.abs(np.asarray(first, np.float64) - second)
    disagreement = float(apart.sum(axis=1).mean() / 2)
    weight = drawn_of(apart, logs) / logs.propensity
    return _diagnose(logs, apart, weight, observation, conversations, limits, disagreement)


def refusals(found: Diagnostics, limits: SupportLimits, *, of_judged: bool) -> tuple[str, ...]:
    """Return why the logs cannot tell, one sentence each; empty: they can.

    Args:
        found: Of a policy or a difference.
        limits: What is too little.
        of_judged: Whether the figure rests on judged answers (quality, utility) or on all (cost, latency).
    """
    if found.disagreement == 0:
        return ()
    reasons = []
    if found.unsupported > limits.most_unsupported:
        worst = max(found.lanes, key=lambda lane: lane.unsupported)
        reasons.append(
            f"{found.unsupported:.0%} of its choices could not have been drawn when these requests were logged (mostly {worst.lane_id}; at most "
            f"{limits.most_unsupported:.0%} may be): log with exploration on"
        )
    effective = found.effective_judged if of_judged else found.effective
    if effective < limits.fewest_effective:
        kind = "judged requests" if of_judged else "requests"
        reasons.append(
            f"only {effective:.0f} {kind} count effectively ({limits.fewest_effective:.0f} are needed): log more, or explore more"
        )
    elif of_judged and found.n_conversations < limits.fewest_conversations:
        reasons.append(
            f"only {found.n_conversations} conversations have a judged request that counts ({limits.fewest_conversations} are needed)"
        )
    if of_judged and found.largest_share > limits.largest_share:
        reasons.append(
            f"a single request carries {found.largest_share:.0%} of the weight (at most {limits.largest_share:.0%} may)"
        )
    if found.disagreement is None and abs(found.mean_weight_error) > limits.most_mean_weight_error and not reasons:
        reasons.append(
            f"the mean weight is {found.mean_weight:.2f}, {found.mean_weight_error:+.1f} standard errors from 1: the logged probabilities are not those "
            "that were drawn with"
        )
    return tuple(reasons)


def drawn_of(policy: Probabilities, logs: LoggedRequests) -> Floats:
    """Return a policy's probability of the drawn lanes, shape (n,)."""
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
    # Where lanes could not be drawn, the mean weight is less than 1 by just that.
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
    """Return (sum w)^2 / sum w^2; 0 of no weight."""
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
