"""Learns about lanes from grades between two nights, as the gateway's `[watch]` does.

It learns separately for each bundle, forgets old grades, and limits the shifts.
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from router.arrays import Floats
from router.decision import Decision
from router.lane_learning import JudgedAnswer, LaneLearning, LearningTerms, read_signals
from router.lane_table import LaneTable
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts

_METRIC = "score"


class Watch(Protocol):
    """Learns about lanes from grades."""

    def begin(self, bundle: Path, version: str) -> None:
        """Begin with a bundle and its recent shifts of the lanes."""
        ...

    def note(self, number: int, decision: Decision, version: str, at_s: float) -> None:
        """Remember the belief about a request's lane, to compare it with the grade."""
        ...

    def add_grade(self, number: int, grade: float) -> None:
        """Learn from a grade."""
        ...

    def shifts(self, table: LaneTable, version: str) -> Floats | None:
        """Return the shift of the lanes' log odds for a bundle, shape (n_lanes,); None: no shift."""
        ...


class NoWatch:
    """Learns nothing."""

    def begin(self, bundle: Path, version: str) -> None:
        """Begin with nothing."""

    def note(self, number: int, decision: Decision, version: str, at_s: float) -> None:
        """Remember nothing."""

    def add_grade(self, number: int, grade: float) -> None:
        """Learn nothing."""

    def shifts(self, table: LaneTable, version: str) -> Floats | None:
        """Shift nothing."""
        return None


class WatchedLanes:
    """Learns as the gateway does, with its default terms."""

    def __init__(self) -> None:
        self._terms = LearningTerms()
        self._learnings: dict[str, LaneLearning] = {}
        self._waiting: dict[int, tuple[str, JudgedAnswer]] = {}
        self._now_s = 0.0
        self._shifts: dict[tuple[str, int], Floats] = {}

    def begin(self, bundle: Path, version: str) -> None:
        """Begin with a bundle and its recent shifts of the lanes."""
        path = bundle / RECENT_SHIFTS_FILE
        recent = RecentShifts.read(path) if path.is_file() else None
        self._learnings.setdefault(version, LaneLearning.begin(self._terms, recent))

    def note(self, number: int, decision: Decision, version: str, at_s: float) -> None:
        """Remember the belief about a request's lane, to compare it with the grade."""
        row, expected = decision.order[0], decision.expectation
        predicted = float(expected.quality[row])
        if expected.quality_shift is not None:
            odds = np.exp(-float(expected.quality_shift[row]))
            predicted = float(predicted * odds / (1 - predicted + predicted * odds))
        lane = decision.chosen
        self._now_s = at_s
        self._waiting[number] = version, JudgedAnswer(lane.lane_id, lane.vendor_model, predicted, at_s, ())

    def add_grade(self, number: int, grade: float) -> None:
        """Learn from a grade."""
        version, asked = self._waiting.pop(number)
        learning = self._learnings[version]
        signals = read_signals([_METRIC], [grade])
        learning.learn(JudgedAnswer(asked.lane_id, asked.vendor_model, asked.predicted, asked.at_s, signals))
        self._shifts.clear()

    def shifts(self, table: LaneTable, version: str) -> Floats | None:
        """Return the shift of the lanes' log odds for a bundle, shape (n_lanes,)."""
        learning = self._learnings[version]
        shifts = self._shifts.get((version, len(table)))
        if shifts is None:
            learning.advance(self._now_s)
            shifts = learning.shifts_of([(lane.lane_id, lane.vendor_model) for lane in table.lanes])
            self._shifts[version, len(table)] = shifts
        return shifts
