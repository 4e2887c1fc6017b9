"""Simulates traffic, about which the truth is known.

It serves to validate estimators, to test, and to try a comparison before there are logs. Each request has a hidden
difficulty and a taste. Each lane has an ability, a taste, a price and a speed. The probability of a good answer depends
on difficulty, taste and ability; the logged beliefs know a part of it.
"""

import numpy as np

from router.log_odds import sigmoid
from training.off_policy.traffic import Scenario, Traffic, World, log_world
from training.telemetry.logged_requests import Floats, Ints

LANES = ("small/a", "medium/b", "large/c", "large/d")
_ABILITY = np.array([-0.2, 0.5, 1.2, 1.3])
_TASTE = np.array([-0.8, 0.0, 0.4, 0.8])
_INPUT_USD_PER_MTOK = np.array([0.1, 0.5, 2.0, 3.0])
_OUTPUT_USD_PER_MTOK = np.array([0.4, 2.0, 10.0, 15.0])
_MS_PER_TOKEN = np.array([5.0, 10.0, 20.0, 15.0])
_FIRST_MS = 300.0


def make_traffic(scenario: Scenario, seed: int) -> Traffic:
    """Return the traffic of a scenario; the same seed gives the same traffic."""
    rng = np.random.default_rng(seed)
    return log_world(_make_world(scenario, rng), scenario, rng)


def _make_world(scenario: Scenario, rng: np.random.Generator) -> World:
    n, m = scenario.n_requests, len(LANES)
    conversation = _conversations(scenario, rng)
    n_conversations = int(conversation.max()) + 1
    difficulty = rng.normal(0, 1, n_conversations)[conversation]
    taste = rng.normal(0, 1, n_conversations)[conversation]
    reception = rng.normal(0, scenario.reception, n_conversations)[conversation] if scenario.reception else np.zeros(n)
    odds = _ABILITY + taste[:, None] * _TASTE - difficulty[:, None]
    believed_odds = odds + rng.normal(0, scenario.belief_noise, (n, m)) + scenario.belief_bias * (_ABILITY > 1)
    prompt_tokens = np.ceil(rng.lognormal(5, 0.8, n))
    tokens = np.exp(5.3 + 0.2 * difficulty + rng.normal(0, 0.4, n))[:, None] * np.array([0.8, 1.0, 1.2, 1.2])
    believed_tokens = tokens * np.exp(rng.normal(0, 0.2, (n, m)))
    noisy = np.stack([difficulty, taste], axis=1) + rng.normal(0, 0.7, (n, 2))
    return World(
        lane_ids=LANES,
        conversation=conversation,
        prompt_tokens=prompt_tokens,
        features=np.column_stack([noisy, np.log1p(prompt_tokens), rng.normal(0, 1, n)]).astype(np.float32),
        chance=sigmoid(odds + reception[:, None]),
        believed_quality=sigmoid(believed_odds),
        believed_tokens=believed_tokens,
        believed_cost_usd=_cost(prompt_tokens, believed_tokens),
        believed_latency_ms=_FIRST_MS + believed_tokens * _MS_PER_TOKEN,
        tokens=tokens,
        cost_usd=_cost(prompt_tokens, tokens),
        latency_ms=_FIRST_MS + tokens * _MS_PER_TOKEN,
    )


def _cost(prompt_tokens: Floats, tokens: Floats) -> Floats:
    return np.asarray((prompt_tokens[:, None] * _INPUT_USD_PER_MTOK + tokens * _OUTPUT_USD_PER_MTOK) / 1e6, np.float64)


def _conversations(scenario: Scenario, rng: np.random.Generator) -> Ints:
    if scenario.requests_per_conversation <= 1:
        return np.arange(scenario.n_requests)
    sizes = rng.geometric(1 / scenario.requests_per_conversation, scenario.n_requests)
    return np.repeat(np.arange(scenario.n_requests), sizes)[: scenario.n_requests]
