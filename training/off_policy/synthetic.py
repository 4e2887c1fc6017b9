"""Traffic of which the truth is known: for validating estimators, for tests, and to see what a comparison looks like before there are logs.

Each request has a hidden difficulty and a taste; each lane an ability, a price and a speed. A lane's answer is good with a chance that depends on all of these; the beliefs
that are logged know a part of it.
"""

from dataclasses import dataclass, replace

import numpy as np

from training.logged_requests import Float32s, Floats, Ints, LoggedRequests
from training.off_policy.evaluation_policies import EvaluationPolicy
from training.off_policy.logistic import logit, sigmoid

LANES = ("small/a", "medium/b", "large/c", "large/d")
_ABILITY = np.array([-0.2, 0.5, 1.2, 1.3])
_TASTE = np.array([-0.8, 0.0, 0.4, 0.8])
_INPUT_USD_PER_MTOK = np.array([0.1, 0.5, 2.0, 3.0])
_OUTPUT_USD_PER_MTOK = np.array([0.4, 2.0, 10.0, 15.0])
_MS_PER_TOKEN = np.array([5.0, 10.0, 20.0, 15.0])
_FIRST_MS = 300.0
_N_FEATURES = 4


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of traffic.

    Args:
        n_requests: In one log.
        requests_per_conversation: On average; those of one share difficulty and taste, and how they are received.
        exploration: Share of requests whose lane is drawn from all alike; the rest goes to the best value by belief.
        temperature_usd: Where above 0, the behaviour policy is a softmax of believed utility instead, mixed with `exploration`.
        feedback: Share of answers that are judged.
        feedback_by_lane: How much more often, in log odds, the dearest lane's answers are judged than the cheapest one's.
        belief_noise: Standard deviation of the logged log odds around the truth.
        belief_bias: Added to the logged log odds of the dear lanes: beliefs that are wrong in a way that matters.
        reception: Standard deviation, in log odds, of a conversation's own reception of all of its answers.
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


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Logs, and what only the maker knows.

    Args:
        logs: As a gateway would have them.
        chance: Shape (n, m), true chance of a good answer by every lane, given everything but luck.
        cost_usd, latency_ms: Shape (n, m), true expectations.
    """

    logs: LoggedRequests
    chance: Floats
    cost_usd: Floats
    latency_ms: Floats

    def truth(self, policy: EvaluationPolicy, value_usd: float = 0.01) -> dict[str, float]:
        """Return what the policy would get on these requests, on average over luck: metric -> value."""
        taken = policy.probabilities(self.logs)
        quality, cost, latency = (
            float((taken * values).sum(axis=1).mean()) for values in (self.chance, self.cost_usd, self.latency_ms)
        )
        return {"quality": quality, "cost_usd": cost, "latency_ms": latency, "utility_usd": value_usd * quality - cost}


def make_traffic(scenario: Scenario, seed: int) -> Traffic:
    """Return traffic; the same for the same seed."""
    rng = np.random.default_rng(seed)
    n, m = scenario.n_requests, len(LANES)
    conversation = _conversations(scenario, rng)
    n_conversations = int(conversation.max()) + 1
    difficulty = rng.normal(0, 1, n_conversations)[conversation]
    taste = rng.normal(0, 1, n_conversations)[conversation]
    reception = rng.normal(0, scenario.reception, n_conversations)[conversation] if scenario.reception else np.zeros(n)
    odds = _ABILITY + taste[:, None] * _TASTE - difficulty[:, None]
    chance = sigmoid(odds + reception[:, None])
    believed_odds = odds + rng.normal(0, scenario.belief_noise, (n, m)) + scenario.belief_bias * (_ABILITY > 1)
    prompt_tokens = np.ceil(rng.lognormal(5, 0.8, n))
    tokens = np.exp(5.3 + 0.2 * difficulty + rng.normal(0, 0.4, n))[:, None] * np.array([0.8, 1.0, 1.2, 1.2])
    believed_tokens = tokens * np.exp(rng.normal(0, 0.2, (n, m)))
    cost = (prompt_tokens[:, None] * _INPUT_USD_PER_MTOK + tokens * _OUTPUT_USD_PER_MTOK) / 1e6
    believed_cost = (prompt_tokens[:, None] * _INPUT_USD_PER_MTOK + believed_tokens * _OUTPUT_USD_PER_MTOK) / 1e6
    latency = _FIRST_MS + tokens * _MS_PER_TOKEN
    quality = sigmoid(believed_odds)
    probability = _behaviour(scenario, quality, believed_cost)
    chosen = (rng.random(n)[:, None] > np.cumsum(probability, axis=1)).sum(axis=1).clip(0, m - 1)
    rows = np.arange(n)
    is_good = rng.random(n) < chance[rows, chosen]
    lane_odds = scenario.feedback_by_lane * (np.arange(m) / (m - 1) - 0.5)
    is_judged = rng.random(n) < (
        1.0 if scenario.feedback >= 1 else sigmoid(logit(np.array(scenario.feedback)) + lane_odds)[chosen]
    )
    logs = LoggedRequests(
        lane_ids=LANES,
        trained_names=(None,) * m,
        request_ids=np.char.add("r", rows.astype(np.str_)),
        accounts=np.where(conversation % 2 == 0, "acme", "umbrella"),
        conversation_ids=np.char.add("c", conversation.astype(np.str_)),
        started_at=np.datetime64("2026-11-01T00:00:00", "us") + rows * np.timedelta64(60_000_000, "us"),
        router_versions=np.full(n, "night-1+0000aaaa"),
        policies=np.full(n, "best_value"),
        prompts=np.full(n, None, dtype=np.object_),
        features=_features(difficulty, taste, prompt_tokens, rng),
        features_version=1,
        prompt_tokens=prompt_tokens,
        is_eligible=np.ones((n, m), np.bool_),
        quality=quality.astype(np.float32),
        quality_std=np.full((n, m), 0.1, np.float32),
        completion_tokens=believed_tokens.astype(np.float32),
        expected_cost_usd=believed_cost.astype(np.float32),
        expected_latency_ms=(_FIRST_MS + believed_tokens * _MS_PER_TOKEN).astype(np.float32),
        probability=probability.astype(np.float32),
        chosen=chosen.astype(np.intp),
        propensity=probability.astype(np.float32)[rows, chosen].astype(np.float64),
        willingness_to_pay_usd=np.full(n, np.nan),
        quality_bar=np.full(n, np.nan),
        reward=np.where(is_judged, is_good, np.nan).astype(np.float64),
        reward_std=np.where(is_judged, 0.1, np.nan),
        cost_usd=cost[rows, chosen],
        latency_ms=latency[rows, chosen] * np.exp(rng.normal(-0.02, 0.2, n)),
        answer_tokens=tokens[rows, chosen],
        is_answered=np.ones(n, np.bool_),
    )
    return Traffic(logs, chance, cost, latency)


def with_beliefs(traffic: Traffic, noise: float, seed: int, bias: float = 0.0) -> LoggedRequests:
    """Return the logs with other beliefs about quality, as another bundle would have: `noise` and `bias` in log odds."""
    rng = np.random.default_rng(seed)
    odds = logit(traffic.chance) + rng.normal(0, noise, traffic.chance.shape) + bias * (_ABILITY > 1)
    return replace(traffic.logs, quality=sigmoid(odds).astype(np.float32))


def _conversations(scenario: Scenario, rng: np.random.Generator) -> Ints:
    if scenario.requests_per_conversation <= 1:
        return np.arange(scenario.n_requests)
    sizes = rng.geometric(1 / scenario.requests_per_conversation, scenario.n_requests)
    return np.repeat(np.arange(scenario.n_requests), sizes)[: scenario.n_requests]


def _behaviour(scenario: Scenario, quality: Floats, cost: Floats) -> Floats:
    utility = 0.01 * quality - cost
    if scenario.temperature_usd:
        scaled = (utility - utility.max(axis=1, keepdims=True)) / scenario.temperature_usd
        greedy = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
    else:
        greedy = (utility == utility.max(axis=1, keepdims=True)).astype(np.float64)
    return np.asarray((1 - scenario.exploration) * greedy + scenario.exploration / quality.shape[1], np.float64)


def _features(difficulty: Floats, taste: Floats, prompt_tokens: Floats, rng: np.random.Generator) -> Float32s:
    noisy = np.stack([difficulty, taste], axis=1) + rng.normal(0, 0.7, (len(taste), 2))
    return np.column_stack([noisy, np.log1p(prompt_tokens), rng.normal(0, 1, len(taste))]).astype(np.float32)
