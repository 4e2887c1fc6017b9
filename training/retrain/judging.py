"""Judging the challenger on the latest conversations, which it did not learn from: the gate's verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from router.placement import logit, sigmoid
from router.verdict import Verdict
from training.logged_requests import LoggedRequests
from training.off_policy.comparison import ComparisonSettings
from training.off_policy.evaluation_policies import GreedyPolicy
from training.off_policy.reward_model import RewardLearner
from training.promotion_gate import GateSettings, judge_challenger
from training.retrain.challenger import Learned, beliefs_of
from training.retrain.champion import Champion
from training.retrain.correction import LogitSpace
from training.retrain.evidence import ChampionView, conversation_hashes, encode_requests, logged_logits
from training.retrain.settings import RetrainSettings
from training.retrain.stages import Outcome
from training.telemetry_reader import LogReader

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

_MOST_REQUESTS = 100_000
"""The latest so many are judged on: bounds the memory, and intervals hardly get narrower."""


@dataclass(frozen=True, slots=True, eq=False)
class TestRequests:
    """Requests to judge on, and what both bundles believe of them.

    Args:
        logs: With the champion's beliefs.
        challenger: The same requests with the challenger's.
    """

    logs: LoggedRequests
    challenger: LoggedRequests


@dataclass(frozen=True, slots=True, eq=False)
class LaterConversations:
    """The conversations that are judged on.

    Args:
        since: When the first of them began, microseconds.
        numbers: As `evidence.conversation_hashes` gives them, sorted.
    """

    since: int
    numbers: npt.NDArray[np.uint64]


def read_test_requests(
    reader: LogReader, later: LaterConversations, champion: Champion, view: ChampionView, outcome: Outcome, rows_per_part: int
) -> TestRequests:
    """Read the requests of later conversations that both bundles' beliefs are known of, part by part.

    A challenger whose network was fitted on can only be asked about requests whose text was kept.
    """
    start = int(np.searchsorted(reader.index.started_at, np.int64(later.since).astype("datetime64[us]")))
    start = max(start, len(reader) - 4 * _MOST_REQUESTS)
    parts = []
    for first in range(start, len(reader), rows_per_part):
        logs = reader.read(first, first + rows_per_part)
        logs = logs.rows(np.isin(conversation_hashes(logs), later.numbers))
        parts.append(_with_beliefs(logs, champion, view, outcome.learned, outcome.is_network))
    logs = join_logs([part.logs for part in parts])
    challenger = join_logs([part.challenger for part in parts])
    latest = np.arange(max(0, len(logs) - _MOST_REQUESTS), len(logs))
    return TestRequests(logs.rows(latest), challenger.rows(latest))


def _with_beliefs(
    logs: LoggedRequests, champion: Champion, view: ChampionView, learned: Learned, is_network: bool
) -> TestRequests:
    has_text = np.array([isinstance(prompt, str) and bool(prompt.strip()) for prompt in logs.prompts], np.bool_)
    is_own = logs.router_versions == view.version
    if is_network:
        logs = logs.rows(has_text)
        inputs = encode_requests(logs, np.arange(len(logs)), learned.parts).astype(np.float32)
        before, after = beliefs_of(champion.parts, inputs), beliefs_of(learned.parts, inputs)
        logs = replace_beliefs(logs, view, before.quality, before.completion_tokens)
        return TestRequests(logs, replace_beliefs(logs, view, after.quality, after.completion_tokens))
    logs = logs.rows(is_own)
    logits = logged_logits(logs, view)
    logs = replace_beliefs(
        logs, view, sigmoid(logits).astype(np.float32), None
    )  # without what was learned online, as the challenger
    space = LogitSpace.of(logit(champion.reference.quality))
    quality = sigmoid(learned.projection.apply(space.filled(logits)))
    slope, offset = learned.lengths
    tokens = np.exp(np.log(np.maximum(logs.completion_tokens, 1)) * _of_lanes(slope, view, 1.0) + _of_lanes(offset, view, 0.0))
    changed = replace_beliefs(logs, view, quality.astype(np.float32), None)
    return TestRequests(logs, _with_tokens(changed, tokens.astype(np.float32)))


def replace_beliefs(
    logs: LoggedRequests, view: ChampionView, quality: Float32s, completion_tokens: Float32s | None
) -> LoggedRequests:
    """Return the requests with these beliefs about models (n, m) in the place of those about their lanes; others stay."""
    column = view.models.of_lane
    known = np.flatnonzero((column >= 0) & (column < quality.shape[1]))
    believed = logs.quality.copy()
    believed[:, known] = quality[:, column[known]]
    changed = replace(logs, quality=believed)
    if completion_tokens is None:
        return changed
    tokens = logs.completion_tokens.copy()
    tokens[:, known] = completion_tokens[:, column[known]]
    return _with_tokens(changed, tokens)


def _with_tokens(logs: LoggedRequests, tokens: Float32s) -> LoggedRequests:
    """Return the requests with other lengths, their expected costs and latencies moved by the rates that are in the logs."""
    from training.off_policy.bundle_beliefs import per_token

    longer = tokens - logs.completion_tokens
    return replace(
        logs,
        completion_tokens=tokens,
        expected_cost_usd=(logs.expected_cost_usd + longer * per_token(logs, logs.expected_cost_usd)).astype(np.float32),
        expected_latency_ms=(logs.expected_latency_ms + longer * per_token(logs, logs.expected_latency_ms)).astype(np.float32),
    )


def _of_lanes(values: Floats, view: ChampionView, otherwise: float) -> Floats:
    column = view.models.of_lane
    return np.where((column >= 0) & (column < len(values)), values[np.minimum(np.maximum(column, 0), len(values) - 1)], otherwise)


def judge(
    requests: TestRequests,
    versions: tuple[str, str],
    judged_at: datetime,
    settings: RetrainSettings,
    learner: RewardLearner | None = None,
) -> Verdict:
    """Return what the gate says of the challenger; both bundles decide by the best value for money."""
    name = "best_value"
    champion = GreedyPolicy(name, settings.value_usd, title=versions[1])
    challenger = GreedyPolicy(name, settings.value_usd, beliefs=_Stored(requests), title=versions[0])
    gate = GateSettings(comparison=ComparisonSettings(value_usd=settings.value_usd, seed=settings.seed))
    return judge_challenger(requests.logs, challenger, champion, versions, judged_at, gate, learner)


class _Stored:
    """The challenger's beliefs about exactly the test requests."""

    def __init__(self, requests: TestRequests) -> None:
        self._requests = requests

    def __call__(self, logs: LoggedRequests) -> LoggedRequests:
        assert logs is self._requests.logs, "beliefs are stored for the test requests alone"
        return self._requests.challenger


def join_logs(parts: Sequence[LoggedRequests]) -> LoggedRequests:
    """Return parts over the same lanes as one; at least one part."""
    columns: dict[str, Any] = {field.name: getattr(parts[0], field.name) for field in fields(LoggedRequests)}
    for name, value in columns.items():
        if isinstance(value, np.ndarray):
            columns[name] = np.concatenate([getattr(part, name) for part in parts])
    return LoggedRequests(**columns)
