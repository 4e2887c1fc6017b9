"""Learns from feedback how the quality of lanes changes, and stores it for all workers. Blocks; for a thread."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from sqlalchemy import Engine

from router.arrays import Floats
from router.lane_learning import ALL_LANES, LaneLearning, LearningTerms
from router.lane_table import LaneTable
from serve.alerts.watch_repository import Alarm, StateName, StoredState, WatchRepository
from serve.watch.bundle_shifts import BundleShifts
from serve.watch.judged_answers import Learner, read_newly_judged

FEEDBACK: Final[StateName] = ("feedback", "", "")
LANES: Final = "lanes"
_LAG_US: Final = 10_000_000
"""Feedback is written in batches and may be stored before its request, so younger feedback waits for the next round."""
_FIRST_LOOK_US: Final = 7 * 86_400_000_000
_LEAST_SHIFT: Final = 1e-3


class LaneWatch:
    """The learning of one worker. Whichever worker is first in a round learns for all.

    Args:
        engine: Database with attempts and feedback.
        repository: Stored state of the learning.
        terms: Terms by which to learn.
        beginnings: Recent shifts of each bundle, where learning begins; None: learning begins from nothing.
        round_us: Age below which another worker's round is recent enough, microseconds.
    """

    def __init__(
        self,
        engine: Engine,
        repository: WatchRepository,
        terms: LearningTerms,
        beginnings: BundleShifts | None = None,
        round_us: int = 4_000_000,
    ) -> None:
        self._engine = engine
        self._repository = repository
        self._terms = terms
        self._beginnings = beginnings or BundleShifts(tuple)
        self._round_us = round_us

    def look(self) -> bool:
        """Read the recent shifts of new bundles; return whether there are new bundles."""
        return self._beginnings.look()

    def beginnings(self) -> dict[str, LaneLearning]:
        """Return version of the bundle -> learning that begins with its recent shifts, for bundles that have them."""
        return {
            version: LaneLearning.begin(self._terms, recent)
            for version, recent in self._beginnings.by_version().items()
        }

    def learn(self, now_us: int) -> list[Alarm]:
        """Learn from all feedback up to a few seconds ago; return the alarms."""
        alarms: list[Alarm] = []
        while True:
            cursor = self._repository.state(FEEDBACK)
            if (
                cursor is not None
                and not alarms
                and now_us - cursor.updated_at_us < self._round_us
                and cursor.value["is_all"]
            ):
                return alarms
            rung, is_done = self._round(cursor, now_us)
            alarms += rung
            if is_done:
                return alarms

    def read(self, since_us: int = 0, account: str | None = None) -> dict[Learner, LaneLearning]:
        """Return the learning that was saved since then.

        A state that another version of this program saved, and that this one cannot read, is left out.
        """
        by_learner = {}
        for (_, owner, version), stored in self._repository.states(LANES, since_us, account).items():
            learning = _opened(stored, self._terms)
            if learning is not None:
                by_learner[owner, version] = learning
        return by_learner

    def _round(self, cursor: StoredState | None, now_us: int) -> tuple[list[Alarm], bool]:
        """Learn from the next pieces of feedback; return the alarms, and whether all feedback is read."""
        after_us = now_us - _FIRST_LOOK_US if cursor is None else int(cursor.value["read_until_us"])
        judged = read_newly_judged(self._engine, after_us, max(now_us - _LAG_US, after_us))
        values: dict[StateName, Mapping[str, Any]] = {
            FEEDBACK: {"read_until_us": judged.read_until_us, "is_all": judged.is_all}
        }
        alarms = []
        for (account, version), answers in judged.answers.items():
            stored = self._repository.state((LANES, account, version))
            learning = (_opened(stored, self._terms) if stored else None) or LaneLearning.begin(
                self._terms, self._beginnings.by_version().get(version)
            )
            for answer in answers:
                for rung in learning.learn(answer):
                    shift = learning.shift_of(answer.lane_id, answer.vendor_model)
                    alarms.append(_alarm(account, rung, shift, self._terms.answers_between_false_alarms, now_us))
            values[LANES, account, version] = learning.to_json()
        revision = 0 if cursor is None else cursor.revision
        if not self._repository.save(FEEDBACK, revision, values, now_us, alarms):
            return [], True  # another worker was quicker
        return alarms, judged.is_all


def shifts_of_lanes(learning: LaneLearning, table: LaneTable, at_s: float) -> Floats | None:
    """Return the shift of each lane of a table at a moment, shape (n_lanes,); None: no lane has any."""
    learning.advance(at_s)
    shifts = learning.shifts_of([(lane.lane_id, lane.vendor_model) for lane in table.lanes])
    return shifts if np.abs(shifts).max(initial=0.0) >= _LEAST_SHIFT else None


def _opened(stored: StoredState, terms: LearningTerms) -> LaneLearning | None:
    try:
        return LaneLearning.from_json(stored.value, terms)
    except (KeyError, TypeError, ValueError):
        return None


def _alarm(account: str, rung: str, shift: tuple[float, float], threshold: float, now_us: int) -> Alarm:
    if rung == ALL_LANES:
        message = (
            "Answers are not judged as predicted, over all lanes: retrain on your logs, "
            "so that predictions fit what you ask."
        )
        return Alarm(account, "calibration", "", now_us, threshold, threshold, message)
    how = "worse" if shift[0] < 0 else "better"
    message = (
        f"Answers of {rung} are {how} than predicted: "
        f"its log odds of a good one moved by {shift[0]:+.2f} ± {shift[1]:.2f}."
    )
    return Alarm(account, "quality", rung, now_us, threshold, threshold, message)
