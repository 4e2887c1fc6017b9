"""Notices that an account's prompts change: the last week against the four weeks before it. Blocks; for a thread."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from sqlalchemy import Engine

from router.arrays import Floats
from router.drift import least_stable, population_stability
from router.lane_table import LaneTable
from router.log_odds import logit
from router.reference_answers import ReferenceAnswers
from serve.alerts.watch_repository import Alarm, WatchRepository
from serve.watch.prompt_sample import NUMBER_NAMES, PromptSample, read_sample

PROMPTS: Final = "prompts"
_DAY_US: Final = 86_400_000_000
_NOW_US: Final = 7 * _DAY_US
_BEFORE_US: Final = 35 * _DAY_US
_FEWEST: Final = 200
_FALSE_ALARM_RATE: Final = 0.001
"""Probability of a false alarm over all numbers together, each day."""
_SHOWN: Final = 8


class PromptWatch:
    """Compares an account's prompts once a day; all workers share the result.

    Args:
        engine: Database with attempts.
        repository: Store of the result.
        least_index: Least stability index that raises an alarm; a smaller one does not matter, however certain it is.
        in_use: Function that returns the version of the champion, and a reader of its reference answers.
    """

    def __init__(
        self,
        engine: Engine,
        repository: WatchRepository,
        least_index: float,
        in_use: Callable[[], tuple[str, Callable[[], ReferenceAnswers]]],
    ) -> None:
        self._engine = engine
        self._repository = repository
        self._least_index = least_index
        self._in_use = in_use

    def look(self, account: str, table: LaneTable, now_us: int, *, is_due: bool = False) -> list[Alarm]:
        """Compare the prompts unless that was done within a day; return the alarms.

        Args:
            account: Account whose prompts are compared.
            table: Lanes of the account.
            now_us: Present time, microseconds since 1970 UTC.
            is_due: Whether to compare in any case.
        """
        name = (PROMPTS, account, "")
        stored = self._repository.state(name)
        if stored is not None and not is_due and now_us - stored.updated_at_us < _DAY_US:
            return []
        value = self.compare(account, table, now_us)
        alarms = self.alarms(account, value, now_us)
        is_saved = self._repository.save(name, 0 if stored is None else stored.revision, {name: value}, now_us, alarms)
        return alarms if is_saved else []

    def compare(self, account: str, table: LaneTable, now_us: int) -> dict[str, Any]:
        """Compare the last week's prompts with earlier ones and with those that the bundle was trained on."""
        version, read_reference = self._in_use()
        before = read_sample(self._engine, account, now_us - _BEFORE_US, now_us - _NOW_US, version)
        now = read_sample(self._engine, account, now_us - _NOW_US, now_us, version)
        is_enough = min(len(before), len(now)) >= _FEWEST
        ranked = least_stable(NUMBER_NAMES, before.numbers, now.numbers, _FALSE_ALARM_RATE) if is_enough else []
        return {
            "n_before": len(before),
            "n_now": len(now),
            "numbers": [[name, stability.index, stability.by_chance] for name, stability in ranked[:_SHOWN]],
            "against_bundle": _against_bundle(now, table, read_reference) if len(now) >= _FEWEST else [],
        }

    def alarms(self, account: str, value: Mapping[str, Any], now_us: int) -> list[Alarm]:
        """Return the alarms for a result of `compare`."""
        return [
            Alarm(
                account,
                "prompts",
                name,
                now_us,
                index,
                max(by_chance, self._least_index),
                f"This week's prompts differ from those of the four weeks before in {name}: "
                f"stability index {index:.2f}.",
            )
            for name, index, by_chance in value["numbers"]
            if index > max(by_chance, self._least_index)
        ]


def _against_bundle(
    sample: PromptSample, table: LaneTable, read_reference: Callable[[], ReferenceAnswers]
) -> list[list[Any]]:
    """Return [number, stability index] of prompts against the bundle's reference."""
    reference = read_reference()
    compared = [
        ("prompt_tokens", population_stability(reference.prompt_tokens.astype(np.float64), _tokens(sample), 0.01))
    ]
    if sample.lane_logits:
        lanes, logits = max(sample.lane_logits.items(), key=lambda pair: len(pair[1]))
        trained = {
            place: int(table.trained_index[table.index_of[lane_id]])
            for place, lane_id in enumerate(lanes)
            if lane_id in table.index_of and table.trained_index[table.index_of[lane_id]] >= 0
        }
        if trained and len(logits) >= _FEWEST:
            expected = logit(reference.quality[:, list(trained.values())]).mean(axis=1)
            compared.append(("ease", population_stability(expected, logits[:, list(trained)].mean(axis=1), 0.01)))
    return [[name, stability.index] for name, stability in compared if stability is not None]


def _tokens(sample: PromptSample) -> Floats:
    return np.asarray(sample.numbers[:, NUMBER_NAMES.index("prompt_tokens")], np.float64)
