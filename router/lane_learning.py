"""Learns from one account's judged answers under one bundle: the lanes' shifts, and whether the predictions still hold.

Some metrics say how good an answer was (a thumb, a score). Others only find faults, or compare with another answer
(`schema_valid`, `asked_again`, `judge.pairwise`). On a good day these say the same of any lane. So they count by their
distance from their own mean in the account, not from the prediction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Any, Final, Self

import numpy as np

from router.drift import CalibrationTest
from router.lane_correction import Judged, LaneCorrection, ShiftPrior
from router.recent_shifts import RecentShifts
from router.reward import REWARD_RULES, combine_rewards

ALL_LANES: Final = ""
"""Name of the test of all lanes together."""
_LEVEL_ANSWERS: Final = 20.0
"""A metric's mean starts at the reading of an answer without fault, with the weight of this many readings."""
_MOST_ANSWERS: Final = 1_000.0
"""A metric's mean rests on about this many readings; older ones fade."""


@dataclass(frozen=True, slots=True)
class LearningTerms:
    """The parameters of learning and testing.

    Args:
        prior: Prior of the shifts.
        tolerance: Tolerance of the lanes' tests, 0..1. The test of all lanes together has twice that, because people's
            standards differ.
        answers_between_false_alarms: Judged answers until a false alarm of each test, on average, at least.
    """

    prior: ShiftPrior = field(default_factory=ShiftPrior)
    tolerance: float = 0.05
    answers_between_false_alarms: float = 10_000.0


@dataclass(frozen=True, slots=True)
class Signal:
    """One piece of feedback on an answer; `router.reward` defines `reading` and `std`."""

    metric_name: str
    reading: float
    std: float

    @property
    def is_absolute(self) -> bool:
        """Whether the metric says how good the answer was, not only whether something was wrong."""
        return REWARD_RULES[self.metric_name].best_quality == 1.0


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer with new feedback.

    Args:
        lane_id, vendor_model: Lane that gave it, and its model.
        predicted: Predicted P(good answer), without any shift.
        at_s: Time of the request, seconds since 1970.
        signals: All feedback that is valid now.
        known_signals: Feedback that it was already learned from; empty: the answer is new.
    """

    lane_id: str
    vendor_model: str
    predicted: float
    at_s: float
    signals: tuple[Signal, ...]
    known_signals: tuple[Signal, ...] = ()


@dataclass(slots=True)
class LaneLearning:
    """All that was learned of one account's lanes under one bundle.

    Args:
        terms: Parameters of learning and testing.
        correction: Shifts of the lanes.
        tests: Lane id, or `ALL_LANES` -> its test.
        levels: Metric -> (mean reading, number of readings behind it).
        vendor_models: Id of a judged lane -> its vendor model.
    """

    terms: LearningTerms
    correction: LaneCorrection
    tests: dict[str, CalibrationTest] = field(default_factory=dict)
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)
    vendor_models: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, terms: LearningTerms, recent: RecentShifts | None = None) -> Self:
        """Return the state before any feedback: the recent shifts that a retraining found, or none."""
        return cls(terms, LaneCorrection(terms.prior) if recent is None else recent.of(terms.prior))

    def learn(self, answer: JudgedAnswer) -> list[str]:
        """Learn from an answer, and return the names of the tests that ring an alarm: lane ids and `ALL_LANES`."""
        before = self._combined(answer.known_signals, answer.predicted)
        now = self._combined(answer.signals, answer.predicted)
        for signal in answer.signals:
            if signal not in answer.known_signals:
                self._note_level(signal)
        if now is None:
            return []
        self.vendor_models[answer.lane_id] = answer.vendor_model
        common, _ = self.correction.common()
        judged = Judged(answer.lane_id, answer.vendor_model, answer.predicted, *now, answer.at_s, before)
        self.correction.learn(judged)
        return self._test(answer, common)

    def to_json(self) -> dict[str, object]:
        """Return the state that has to be stored."""
        return {
            "correction": self.correction.to_json(),
            "tests": {name: test.to_json() for name, test in self.tests.items()},
            "levels": self.levels,
            "vendor_models": self.vendor_models,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], terms: LearningTerms) -> Self:
        """Return the learning with a stored state.

        Raises:
            ValueError, TypeError, KeyError: The state is not of the stored form.
        """
        learning = cls(terms, LaneCorrection.from_json(stored["correction"], terms.prior))
        for name, test in stored["tests"].items():
            learning.tests[name] = CalibrationTest.from_json(
                test, learning._tolerance(name), terms.answers_between_false_alarms
            )
        learning.levels = {name: (float(mean), float(count)) for name, (mean, count) in stored["levels"].items()}
        learning.vendor_models = {str(lane): str(vendor) for lane, vendor in stored["vendor_models"].items()}
        return learning

    def _test(self, answer: JudgedAnswer, common: float) -> list[str]:
        """Bet on an answer when feedback first says how good it was; return the tests that ring an alarm."""
        absolute = [signal for signal in answer.signals if signal.is_absolute]
        if not absolute or any(signal.is_absolute for signal in answer.known_signals):
            return []
        reward, _ = _mean(absolute)
        chance = min(max(answer.predicted, 0.01), 0.99)
        believed = 1 / (1 + exp(-(log(chance / (1 - chance)) + common)))
        ringing = []
        for name, predicted in ((ALL_LANES, chance), (answer.lane_id, believed)):
            test = self.tests.get(name)
            if test is None:
                test = CalibrationTest(self._tolerance(name), self.terms.answers_between_false_alarms)
                self.tests[name] = test
            if test.note(predicted, reward):
                ringing.append(name)
        return ringing

    def _tolerance(self, name: str) -> float:
        return self.terms.tolerance * (2 if name == ALL_LANES else 1)

    def _combined(self, signals: Sequence[Signal], predicted: float) -> tuple[float, float] | None:
        """Return the reward of the feedback and its deviation, or None when there is no feedback."""
        if not signals:
            return None
        reading = [signal if signal.is_absolute else self._against_level(signal, predicted) for signal in signals]
        return _mean(reading)

    def _against_level(self, signal: Signal, predicted: float) -> Signal:
        level, _ = self._level(signal.metric_name)
        return Signal(signal.metric_name, min(max(predicted + signal.reading - level, 0.0), 1.0), signal.std)

    def _level(self, metric_name: str) -> tuple[float, float]:
        return self.levels.get(metric_name, (REWARD_RULES[metric_name].best_quality, _LEVEL_ANSWERS))

    def _note_level(self, signal: Signal) -> None:
        if not signal.is_absolute:
            mean, count = self._level(signal.metric_name)
            self.levels[signal.metric_name] = (
                mean + (signal.reading - mean) / (count + 1),
                min(count + 1, _MOST_ANSWERS),
            )


def read_signals(metric_names: Sequence[str], values: Sequence[float]) -> tuple[Signal, ...]:
    """Return the signals of these metrics and values, in their order; metrics without a rule are left out."""
    measured = [(name, value) for name, value in zip(metric_names, values, strict=True) if name in REWARD_RULES]
    names, numbers = [name for name, _ in measured], np.array([value for _, value in measured], np.float64)
    readings, stds = combine_rewards(np.arange(len(measured)), names, numbers, len(measured))
    return tuple(
        Signal(name, float(reading), float(std))
        for name, reading, std in zip(names, readings, stds, strict=True)
        if reading == reading  # not NaN
    )


def _mean(signals: Sequence[Signal]) -> tuple[float, float]:
    precision = sum(signal.std**-2 for signal in signals)
    return sum(signal.reading * signal.std**-2 for signal in signals) / precision, precision**-0.5
