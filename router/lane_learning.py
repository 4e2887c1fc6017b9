"""What one account's judged answers teach about its lanes under one bundle: their shifts, and whether predictions still keep their word.

Some metrics say how good an answer was (a thumb, a score). Others only ever find faults, or compare with another answer (`schema_valid`,
`asked_again`, `judge.pairwise`): on a good day all of them say the same of any lane, so they count by how far they are from their own mean in
the account, not from the prediction.
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
"""The name under which the test of all lanes together is kept."""
_LEVEL_ANSWERS: Final = 20.0
"""For so many readings a metric's mean is believed to be that of an answer without fault."""
_MOST_ANSWERS: Final = 1_000.0
"""Older readings fade from a metric's mean."""


@dataclass(frozen=True, slots=True)
class LearningTerms:
    """How lanes are learned of and tested.

    Args:
        prior: Of the shifts.
        tolerance: Of the lanes' tests, 0..1; that of all lanes together is twice as large, for people judge as they like.
        answers_between_false_alarms: Of each test, on average, at least.
    """

    prior: ShiftPrior = field(default_factory=ShiftPrior)
    tolerance: float = 0.05
    answers_between_false_alarms: float = 10_000.0


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that was said of an answer; `reading` and `std` as `router.reward` reads it."""

    metric_name: str
    reading: float
    std: float

    @property
    def is_absolute(self) -> bool:
        """Whether it says how good the answer was, not only whether something was wrong."""
        return REWARD_RULES[self.metric_name].best_quality == 1.0


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """An answer of which something new was said.

    Args:
        lane_id, vendor_model: Who gave it.
        predicted: P(good answer) as predicted, without any shift.
        at_s: When the request was made, seconds since 1970.
        signals: All that stands now.
        known_signals: What was known when it was last learned from; empty: it is new.
    """

    lane_id: str
    vendor_model: str
    predicted: float
    at_s: float
    signals: tuple[Signal, ...]
    known_signals: tuple[Signal, ...] = ()


@dataclass(slots=True)
class LaneLearning:
    """See the module's text.

    Args:
        terms: How to learn.
        correction: The shifts.
        tests: Lane id, or `ALL_LANES` -> its test.
        levels: Metric -> (mean reading, how many readings that rests on).
        vendor_models: Lane id -> its vendor model, of the lanes that were judged.
    """

    terms: LearningTerms
    correction: LaneCorrection
    tests: dict[str, CalibrationTest] = field(default_factory=dict)
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)
    vendor_models: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, terms: LearningTerms, recent: RecentShifts | None = None) -> Self:
        """Return what is known before anything was said: what a retraining saw lately, or nothing."""
        return cls(terms, LaneCorrection(terms.prior) if recent is None else recent.of(terms.prior))

    def learn(self, answer: JudgedAnswer) -> list[str]:
        """Take in an answer; return which tests ring: lane ids and `ALL_LANES`."""
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
        """Return what has to be kept of it."""
        return {
            "correction": self.correction.to_json(),
            "tests": {name: test.to_json() for name, test in self.tests.items()},
            "levels": self.levels,
            "vendor_models": self.vendor_models,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], terms: LearningTerms) -> Self:
        """Return what was kept.

        Raises:
            ValueError, TypeError, KeyError: It is not of that form.
        """
        found = cls(terms, LaneCorrection.from_json(stored["correction"], terms.prior))
        for name, told in stored["tests"].items():
            found.tests[name] = CalibrationTest.from_json(
                told, found._tolerance(name), terms.answers_between_false_alarms
            )
        found.levels = {name: (float(mean), float(count)) for name, (mean, count) in stored["levels"].items()}
        found.vendor_models = {str(lane): str(vendor) for lane, vendor in stored["vendor_models"].items()}
        return found

    def _test(self, answer: JudgedAnswer, common: float) -> list[str]:
        """Bet on an answer the first time that somebody says how good it was."""
        absolute = [signal for signal in answer.signals if signal.is_absolute]
        if not absolute or any(signal.is_absolute for signal in answer.known_signals):
            return []
        reward, _ = _mean(absolute)
        chance = min(max(answer.predicted, 0.01), 0.99)
        believed = 1 / (1 + exp(-(log(chance / (1 - chance)) + common)))
        rung = []
        for name, predicted in ((ALL_LANES, chance), (answer.lane_id, believed)):
            test = self.tests.get(name)
            if test is None:
                test = CalibrationTest(self._tolerance(name), self.terms.answers_between_false_alarms)
                self.tests[name] = test
            if test.note(predicted, reward):
                rung.append(name)
        return rung

    def _tolerance(self, name: str) -> float:
        return self.terms.tolerance * (2 if name == ALL_LANES else 1)

    def _combined(self, signals: Sequence[Signal], predicted: float) -> tuple[float, float] | None:
        """Return (reward, deviation) of what was said, against what was predicted; None: nothing was."""
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
    """Return what these values say, in their order; metrics without a rule are left out."""
    known = [(name, value) for name, value in zip(metric_names, values, strict=True) if name in REWARD_RULES]
    names, told = [name for name, _ in known], np.array([value for _, value in known], np.float64)
    readings, stds = combine_rewards(np.arange(len(known)), names, told, len(known))
    return tuple(
        Signal(name, float(reading), float(std))
        for name, reading, std in zip(names, readings, stds, strict=True)
        if reading == reading  # not NaN
    )


def _mean(signals: Sequence[Signal]) -> tuple[float, float]:
    precision = sum(signal.std**-2 for signal in signals)
    return sum(signal.reading * signal.std**-2 for signal in signals) / precision, precision**-0.5
