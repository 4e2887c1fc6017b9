"""Judges the challenger on the latest conversations, which it did not learn from, and returns the gate's verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from router.account_correction import AccountCorrections
from router.log_odds import sigmoid
from router.verdict import Verdict
from training.off_policy.comparison import ComparisonSettings
from training.off_policy.evaluation_policies import GreedyPolicy
from training.off_policy.reward_model import RewardLearner
from training.promotion.gate import GateSettings, judge_challenger
from training.retrain.accounts import with_accounts, without_shifts
from training.retrain.challenger import Learned, beliefs_of
from training.retrain.correction import LogitSpace
from training.retrain.evidence import ChampionView, conversation_hashes, encode_requests, logged_logits
from training.retrain.settings import RetrainSettings
from training.retrain.stages import Outcome
from training.telemetry.logged_requests import LoggedRequests
from training.telemetry.reader import LogReader

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Corrections = tuple[AccountCorrections | None, AccountCorrections | None]
"""Account corrections of the champion and of the challenger."""

_MOST_REQUESTS = 100_000
"""Only this many of the latest requests are judged. It bounds the memory; with more, intervals get hardly narrower."""


@dataclass(frozen=True, slots=True, eq=False)
class TestRequests:
    """Requests of the test, with the beliefs of both bundles.

    Args:
        logs: Requests with the champion's beliefs.
        challenger: The same requests with the challenger's beliefs.
    """

    logs: LoggedRequests
    challenger: LoggedRequests


@dataclass(frozen=True, slots=True, eq=False)
class Contestants:
    """The two bundles that are judged, with their models on the lanes of the logs.

    Args:
        champion: Bundle in use.
        start: Bundle that the challenger was learned from; often the champion.
        space: Space of the start's log odds.
        outcome: Challenger.
        corrections: Account corrections of the champion and of the challenger.
    """

    champion: ChampionView
    start: ChampionView
    space: LogitSpace
    outcome: Outcome
    corrections: Corrections


@dataclass(frozen=True, slots=True, eq=False)
class LaterConversations:
    """The test conversations.

    Args:
        since: Start of the first one, microseconds.
        numbers: Hashes of `evidence.conversation_hashes`, sorted.
    """

    since: int
    numbers: npt.NDArray[np.uint64]


def read_test_requests(
    reader: LogReader, later: LaterConversations, contestants: Contestants, rows_per_part: int
) -> TestRequests:
    """Read the requests of the test conversations for which the beliefs of both bundles are known, part by part.

    A challenger with a fine-tuned network can only be asked about requests whose text was kept.

    Args:
        reader: Reader of the logs.
        later: Test conversations.
        contestants: Champion and challenger.
        rows_per_part: Number of requests to read at once.
    """
    start = int(np.searchsorted(reader.index.started_at, np.int64(later.since).astype("datetime64[us]")))
    start = max(start, len(reader) - 4 * _MOST_REQUESTS)
    parts = []
    for first in range(start, len(reader), rows_per_part):
        logs = reader.read(first, first + rows_per_part)
        logs = logs.rows(np.isin(conversation_hashes(logs), later.numbers))
        parts.append(_with_beliefs(logs, contestants))
    logs = join_logs([part.logs for part in parts])
    challenger = join_logs([part.challenger for part in parts])
    latest = np.arange(max(0, len(logs) - _MOST_REQUESTS), len(logs))
    return TestRequests(logs.rows(latest), challenger.rows(latest))


def _with_beliefs(logs: LoggedRequests, contestants: Contestants) -> TestRequests:
    """Return the requests for which the beliefs of both bundles are known, with account corrections.

    The beliefs come from the text, if it was kept. Else the champion's are the logged ones, and the challenger's are
    those after the correction.
    """
    champion, start, learned = contestants.champion, contestants.start, contestants.outcome.learned
    has_text = np.array([isinstance(prompt, str) and bool(prompt.strip()) for prompt in logs.prompts], np.bool_)
    is_own = (logs.router_versions == champion.version) & (logs.router_versions == start.version)
    kept = has_text | (is_own & (not contestants.outcome.is_network))
    # Neither bundle gets credit for what was learned online on top of the bundle that decided.
    logs, by_text = without_shifts(logs.rows(kept)), np.flatnonzero(has_text[kept])
    whole = contestants.space.filled(logged_logits(logs, start))
    before = sigmoid(logged_logits(logs, champion)).astype(np.float32)
    after = sigmoid(learned.projection.apply(whole)).astype(np.float32)
    tokens = (logs.completion_tokens.copy(), _lengthened(logs.completion_tokens, start, learned))
    inputs = encode_requests(logs, by_text, learned.parts).astype(np.float32)
    sides = ((champion, champion.parts, before, tokens[0]), (start, learned.parts, after, tokens[1]))
    for view, parts, quality, lengths in sides:
        exact = beliefs_of(parts, inputs)
        quality[by_text] = exact.quality
        lanes = _lanes_of(view, exact.quality.shape[1])
        lengths[np.ix_(by_text, lanes)] = exact.completion_tokens[:, view.models.of_lane[lanes]]
    all_models = before  # if the start is another bundle than the champion, all requests kept their text
    if champion.version == start.version:
        all_models = np.where(np.isnan(before), sigmoid(whole), before).astype(np.float32)
    of_champion = with_accounts(
        replace_quality(logs, champion, before),
        all_models,
        _lane_names(logs, champion, all_models.shape[1]),
        contestants.corrections[0],
    )
    of_challenger = with_accounts(
        replace_quality(logs, start, after), after, _lane_names(logs, start, after.shape[1]), contestants.corrections[1]
    )
    return TestRequests(_with_tokens(of_champion, tokens[0]), _with_tokens(of_challenger, tokens[1]))


def _lane_names(logs: LoggedRequests, view: ChampionView, n_models: int) -> list[tuple[str, str | None]]:
    """Return each lane's id and its model's name; None for a model that is not among the first `n_models`."""
    names = [view.models.names[column] if 0 <= column < n_models else None for column in view.models.of_lane]
    return list(zip(logs.lane_ids, names, strict=True))


def _lengthened(completion_tokens: Float32s, view: ChampionView, learned: Learned) -> Float32s:
    """Return the challenger's expected lengths (n, lanes), computed from the champion's."""
    lanes = _lanes_of(view, len(learned.names))
    slope, offset = (values[view.models.of_lane[lanes]] for values in learned.lengths)
    tokens = completion_tokens.copy()
    tokens[:, lanes] = np.exp(np.log(np.maximum(tokens[:, lanes], 1)) * slope + offset)
    return tokens


def _lanes_of(view: ChampionView, n_models: int) -> Ints:
    """Return the lanes of the first `n_models` models."""
    column = view.models.of_lane
    return np.flatnonzero((column >= 0) & (column < n_models))


def replace_quality(logs: LoggedRequests, view: ChampionView, quality: Float32s) -> LoggedRequests:
    """Return the requests with new beliefs about lanes, from beliefs about models (n, m); other lanes keep theirs."""
    lanes = _lanes_of(view, quality.shape[1])
    believed = logs.quality.copy()
    believed[:, lanes] = quality[:, view.models.of_lane[lanes]]
    return replace(logs, quality=believed)


def _with_tokens(logs: LoggedRequests, tokens: Float32s) -> LoggedRequests:
    """Return the requests with new lengths; expected costs and latencies change at the rates that the logs show."""
    from training.off_policy.bundle_beliefs import per_token

    longer = tokens - logs.completion_tokens
    return replace(
        logs,
        completion_tokens=tokens,
        expected_cost_usd=(logs.expected_cost_usd + longer * per_token(logs, logs.expected_cost_usd)).astype(
            np.float32
        ),
        expected_latency_ms=(logs.expected_latency_ms + longer * per_token(logs, logs.expected_latency_ms)).astype(
            np.float32
        ),
    )


def judge(
    requests: TestRequests,
    versions: tuple[str, str],
    judged_at: datetime,
    settings: RetrainSettings,
    learner: RewardLearner | None = None,
) -> Verdict:
    """Return the gate's verdict on the challenger. Both bundles decide by the policy `best_value`."""
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
        assert logs is self._requests.logs, "beliefs are stored for the test requests only"
        return self._requests.challenger


def join_logs(parts: Sequence[LoggedRequests]) -> LoggedRequests:
    """Return one table of all parts, which have the same lanes; there has to be at least one part."""
    columns: dict[str, Any] = {field.name: getattr(parts[0], field.name) for field in fields(LoggedRequests)}
    for name, value in columns.items():
        if isinstance(value, np.ndarray):
            columns[name] = np.concatenate([getattr(part, name) for part in parts])
    return LoggedRequests(**columns)
