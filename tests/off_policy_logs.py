"""Logged requests for tests: small ones by hand."""

from dataclasses import replace
from typing import Any

import numpy as np

from training.logged_requests import LoggedRequests
from training.off_policy.synthetic import Scenario, make_traffic


def logs_by_hand(probability: list[list[float]], chosen: list[int], reward: list[float], **changes: Any) -> LoggedRequests:
    """Requests over two or more lanes, each its own conversation, with these chances, draws and rewards (NaN: not judged)."""
    n, m = len(chosen), len(probability[0])
    made = make_traffic(Scenario(n_requests=n), 0).logs
    chances = np.array(probability, np.float32)
    columns = ("quality", "quality_std", "completion_tokens", "expected_cost_usd", "expected_latency_ms")
    return replace(
        made,
        lane_ids=made.lane_ids[:m],
        trained_names=(None,) * m,
        **{name: getattr(made, name)[:, :m] for name in columns},
        is_eligible=np.ones((n, m), np.bool_),
        probability=chances,
        chosen=np.array(chosen, np.intp),
        propensity=chances[np.arange(n), chosen].astype(np.float64),
        reward=np.array(reward, np.float64),
        reward_std=np.where(np.isnan(reward), np.nan, 0.1),
        **changes,
    )
