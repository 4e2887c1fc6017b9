"""Turns a simulated world into the logs that a gateway would have written, and keeps the truth about it.

There are two kinds of world: `synthetic` invents everything, `replay` uses real beliefs and real grades.
"""

from dataclasses import dataclass, replace

import numpy as np

from router.log_odds import logit, sigmoid
from training.off_policy.evaluation_policies import EvaluationPolicy
from training.telemetry.logged_requests import Float32s, Floats, Ints, LoggedRequests


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of traffic.

    Args:
        n_requests: Number of requests in one log.
        requests_per_conversation: Mean size of a conversation; its requests share difficulty, taste and reception.
        exploration: Share of requests with a lane drawn uniformly; the others get the best value by belief.
        temperature_usd: Temperature of a softmax of believed utility, which then is the behaviour policy, mixed with
            `exploration`; 0: no softmax.
        feedback: Share of answers that are judged.
        feedback_by_lane: Difference, in log odds, between the probabilities that answers of the most expensive and of
            the cheapest lane are judged.
        belief_noise: Standard deviation of the logged log odds around the truth.
        belief_bias: Shift of the logged log odds of the expensive lanes; it makes the beliefs wrong where it matters.
        reception: Standard deviation, in log odds, of a shift that all answers of a conversation share.
    """

    n_requests: int = 2_000
    requests_per_conversation: float = 1.0
    exploration: float = 0.2
    temperature_usd: float = 0.0
    feedback: float = 1.0
    feedback_by_lane: float = 0.0
    belief_noise: float = 0.4
    belief_bias: float = 0.0
    reception: float = 0.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class World:
    """`n` requests and the results that each of `m` lanes would have.

    Args:
        lane_ids: Lane ids, cheapest first.
        conversation: Shape (n,), number of each request's conversation.
        prompt_tokens: Shape (n,), lengths of the prompts.
        features: Shape (n, p), features as logged.
        chance: Shape (n, m), probability of a good answer.
        believed_quality, believed_tokens, believed_cost_usd, believed_latency_ms: Shape (n, m), beliefs as logged.
        tokens, cost_usd, latency_ms: Shape (n, m), true values of each lane.
    """

    lane_ids: tuple[str, ...]
    conversation: Ints
    prompt_tokens: Floats
    features: Float32s
    chance: Floats
    believed_quality: Floats
    believed_tokens: Floats
    believed_cost_usd: Floats
    believed_latency_ms: Floats
    tokens: Floats
    cost_usd: Floats
    latency_ms: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Simulated logs, and the truth about them.

    Args:
        logs: Logs as a gateway would have written them.
        chance: Shape (n, m), true probability of a good answer by each lane.
        cost_usd, latency_ms: Shape (n, m), true expected values.
    """

    logs: LoggedRequests
    chance: Floats
    cost_usd: Floats
    latency_ms: Floats

    def truth(self, policy: EvaluationPolicy, value_usd: float = 0.01) -> dict[str, float]:
        """Return metric -> the policy's true expected value on these requests."""
        taken = policy.probabilities(self.logs)
        quality, cost, latency = (
            float((taken * values).sum(axis=1).mean()) for values in (self.chance, self.cost_usd, self.latency_ms)
        )
        return {"quality": quality, "cost_usd": cost, "latency_ms": latency, "utility_usd": value_usd * quality - cost}


def log_world(world: World, scenario: Scenario, rng: np.random.Generator) -> Traffic:
    """Return the traffic that a gateway with the scenario's policy and feedback would have logged."""
    n, m = world.chance.shape
    rows = np.arange(n)
    probability = _behaviour(scenario, world.believed_quality, world.believed_cost_usd)
    is_beyond = rng.random((n, 1)) > np.cumsum(probability, axis=1)
    chosen = np.minimum(is_beyond.sum(axis=1), m - 1)
    is_good = rng.random(n) < world.chance[rows, chosen]
    is_judged = rng.random(n) < _chance_of_feedback(scenario, m)[chosen]
    logs = LoggedRequests(
        lane_ids=world.lane_ids,
        trained_names=(None,) * m,
        request_ids=np.char.add("r", rows.astype(np.str_)),
        accounts=np.where(world.conversation % 2 == 0, "acme", "umbrella"),
        conversation_ids=np.char.add("c", world.conversation.astype(np.str_)),
        started_at=np.datetime64("2026-11-01T00:00:00", "us") + rows * np.timedelta64(60_000_000, "us"),
        router_versions=np.full(n, "night-1+0000aaaa"),
        policies=np.full(n, "best_value"),
        prompts=np.full(n, None, dtype=np.object_),
        features=world.features,
        features_version=1,
        prompt_tokens=world.prompt_tokens,
        is_eligible=np.ones((n, m), np.bool_),
        quality=world.believed_quality.astype(np.float32),
        quality_std=np.full((n, m), 0.1, np.float32),
        completion_tokens=world.believed_tokens.astype(np.float32),
        expected_cost_usd=world.believed_cost_usd.astype(np.float32),
        expected_latency_ms=world.believed_latency_ms.astype(np.float32),
        probability=probability.astype(np.float32),
        chosen=chosen.astype(np.intp),
        propensity=probability.astype(np.float32)[rows, chosen].astype(np.float64),
        willingness_to_pay_usd=np.full(n, np.nan),
        quality_bar=np.full(n, np.nan),
        reward=np.where(is_judged, is_good, np.nan).astype(np.float64),
        reward_std=np.where(is_judged, 0.1, np.nan),
        cost_usd=world.cost_usd[rows, chosen],
        latency_ms=world.latency_ms[rows, chosen] * np.exp(rng.normal(-0.02, 0.2, n)),
        answer_tokens=world.tokens[rows, chosen],
        is_answered=np.ones(n, np.bool_),
    )
    return Traffic(logs, world.chance, world.cost_usd, world.latency_ms)


def _chance_of_feedback(scenario: Scenario, n_lanes: int) -> Floats:
    if scenario.feedback >= 1:
        return np.ones(n_lanes)
    lean = scenario.feedback_by_lane * (np.arange(n_lanes) / max(n_lanes - 1, 1) - 0.5)
    return sigmoid(logit(np.array(scenario.feedback)) + lean)


def with_beliefs(traffic: Traffic, noise: float, seed: int, bias: float = 0.0) -> LoggedRequests:
    """Return the logs with other beliefs about quality, as another bundle would have them.

    Args:
        traffic: Simulated traffic.
        noise: Standard deviation of the beliefs' log odds around the truth.
        seed: Seed of the noise.
        bias: Shift of the log odds of the more expensive half of the lanes.
    """
    rng = np.random.default_rng(seed)
    mean_cost = traffic.cost_usd.mean(axis=0)
    is_expensive = mean_cost > np.median(mean_cost)
    odds = logit(traffic.chance) + rng.normal(0, noise, traffic.chance.shape) + bias * is_expensive
    return replace(traffic.logs, quality=sigmoid(odds).astype(np.float32))


def _behaviour(scenario: Scenario, quality: Floats, cost: Floats) -> Floats:
    utility = 0.01 * quality - cost
    if scenario.temperature_usd:
        scaled = (utility - utility.max(axis=1, keepdims=True)) / scenario.temperature_usd
        greedy = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
    else:
        greedy = (utility == utility.max(axis=1, keepdims=True)).astype(np.float64)
    return np.asarray((1 - scenario.exploration) * greedy + scenario.exploration / quality.shape[1], np.float64)
