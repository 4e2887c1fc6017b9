"""Logged requests for tests: small ones by hand, and a writer of real exports."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from telemetry_strategies import NOON, attempt_row, feedback_row

from router.telemetry_schema import CandidateTable
from serve.storage.database import open_database
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.export.export import export_telemetry
from serve.telemetry.feedback_repository import FeedbackRepository
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario
from training.telemetry.logged_requests import LoggedRequests


def logs_by_hand(
    probability: list[list[float]], chosen: list[int], reward: list[float], **changes: Any
) -> LoggedRequests:
    """Return requests over two or more lanes, each a conversation of its own.

    Args:
        probability: Probabilities of the lanes of each request.
        chosen: Column of the drawn lane of each request.
        reward: Reward of each request; NaN: not judged.
        changes: Other columns to replace.
    """
    n, m = len(chosen), len(probability[0])
    drawn = make_traffic(Scenario(n_requests=n), 0).logs
    chances = np.array(probability, np.float32)
    columns = ("quality", "quality_std", "completion_tokens", "expected_cost_usd", "expected_latency_ms")
    return replace(
        drawn,
        lane_ids=drawn.lane_ids[:m],
        trained_names=(None,) * m,
        **{name: getattr(drawn, name)[:, :m] for name in columns},
        is_eligible=np.ones((n, m), np.bool_),
        probability=chances,
        chosen=np.array(chosen, np.intp),
        propensity=chances[np.arange(n), chosen].astype(np.float64),
        reward=np.array(reward, np.float64),
        reward_std=np.where(np.isnan(reward), np.nan, 0.1),
        **changes,
    )


def write_export(logs: LoggedRequests, folder: Path) -> Path:
    """Write the requests as an export of the gateway, with a thumb for each judged one, and return its folder."""
    engine = open_database(str(folder / "telemetry.db"))
    rows = [attempt_row(row, **_attempt(logs, row)) for row in range(len(logs))]
    judged = np.flatnonzero(np.isfinite(logs.reward)).tolist()
    AttemptRepository(engine).insert_many(rows)
    FeedbackRepository(engine).insert_many([feedback_row(row, value=float(logs.reward[row] > 0.5)) for row in judged])
    export_telemetry(engine, NOON - timedelta(days=1), NOON + timedelta(days=30), folder / "export")
    engine.dispose()
    return folder / "export"


def _attempt(logs: LoggedRequests, row: int) -> dict[str, Any]:
    lane = logs.lane_ids[logs.chosen[row]]
    beliefs = (logs.quality, logs.quality_std, logs.completion_tokens, logs.expected_cost_usd, logs.expected_latency_ms)
    table = CandidateTable(
        logs.lane_ids, *(values[row] for values in beliefs), {}, logs.probability[row].astype(np.float64)
    )
    return {
        "account": str(logs.accounts[row]),
        "conversation_id": str(logs.conversation_ids[row]),
        "features": logs.features[row],
        "candidates": table,
        "lane_id": lane,
        "propensity": float(logs.propensity[row]),
        "policy": "best_value",
        "router_version": str(logs.router_versions[row]),
        "prompt_tokens": int(logs.prompt_tokens[row]),
        "completion_tokens": int(logs.answer_tokens[row]),
        "cost_nusd": round(float(logs.cost_usd[row]) * 1e9),
        "total_ms": float(logs.latency_ms[row]),
    }
