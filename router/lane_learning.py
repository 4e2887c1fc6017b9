"""Learns from one account's judged answers under one bundle: the lanes' shifts, and whether the predictions still hold.

There are three kinds of feedback:

- *Judgements* say how good an answer was (a thumb, a score). They move the shifts (`router.lane_correction`).
- *Comparisons* say whether an answer was better than another one (`judge.pairwise`). They count by their distance from
  their own mean in the account.
- *Checks* look for faults (`refusal`, `schema_valid`). They only count where a lane has more faults than the account's
  other lanes, beyond luck (`router.check_faults`). A check without a finding is no measurement of quality.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from typing import Any, Final, Self

import numpy as np

from router.arrays import Floats
from router.check_faults import CHECK_RULES, CheckedAnswer, CheckFaults, Drop, fault_of
from router.drift import CalibrationTest
from router.lane_correction import Judged, LaneCorrection, ShiftPrior
from router.recent_shifts import RecentShifts
from router.reward import LARGEST_VARIANCE, REWARD_RULES, combine_rewards

ALL_LANES: Final = ""
"""Name of the test of all lanes together."""
_TIE: Final = 0.5
"""Reading of a comparison in which neither answer was better."""
_LEVEL_ANSWERS: Final = 20.0
"""A comparison's mean starts at a tie, with the weight of this many readings."""
_MOST_ANSWERS: Final = 1_000.0
"""A comparison's mean rests on about this many readings; older ones fade."""


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
    """One piece of feedback on an answer.

    Args:
        metric_name: Name of the metric.
        reading, std: Quality that it says, 0..1, and the standard deviation of that, as `router.reward` defines them.
        n_answers: Number of answers that it is about; `std` is larger, so that it counts once over all of them.
    """

    metric_name: str
    reading: float
    std: float
    n_answers: int = 1

    @property
    def is_absolute(self) -> bool:
        """Whether the metric says how good the answer was: it is neither a comparison nor a check."""
        return REWARD_RULES[self.metric_name].best_quality == 1.0

    @property
    def kept(self) -> float:
        """Share of a difference of quality that is left in the mean of readings, because some judgements are wrong."""
        return 1 - 2 * REWARD_RULES[self.metric_name].wrong_share

    def corrected(self) -> "Signal":
        """Return the signal with a reading whose mean is the quality; it may lie outside 0..1."""
        reading = 0.5 + (self.reading - 0.5) / self.kept
        shared = (self.n_answers - 1) * LARGEST_VARIANCE
        std = sqrt((self.std**2 - shared) / self.kept**2 + shared)
        return Signal(self.metric_name, reading, std, self.n_answers)

    @property
    def is_check(self) -> bool:
        """Whether the metric only looks for a fault."""
        return self.metric_name in CHECK_RULES


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
        correction: Shifts of the lanes by judgements and comparisons.
        faults: Faults that checks found.
        tests: Lane id, or `ALL_LANES` -> its test.
        levels: Comparison -> (mean reading, number of readings behind it).
        vendor_models: Id of a lane with feedback -> its vendor model.
    """

    terms: LearningTerms
    correction: LaneCorrection
    faults: CheckFaults
    tests: dict[str, CalibrationTest] = field(default_factory=dict)
    levels: dict[str, tuple[float, float]] = field(default_factory=dict)
    vendor_models: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, terms: LearningTerms, recent: RecentShifts | None = None) -> Self:
        """Return the state before any feedback: the recent shifts that a retraining found, or none."""
        correction = LaneCorrection(terms.prior) if recent is None else recent.of(terms.prior)
        return cls(terms, correction, CheckFaults(terms.prior.half_life_s))

    def learn(self, answer: JudgedAnswer) -> list[str]:
        """Learn from an answer, and return the names of the tests that ring an alarm: lane ids and `ALL_LANES`."""
        self.vendor_models[answer.lane_id] = answer.vendor_model
        self.faults.note(_checked(answer, answer.known_signals), sign=-1.0)
        self.faults.note(_checked(answer, answer.signals))
        before = self._combined(answer.known_signals, answer.predicted)
        now = self._combined(answer.signals, answer.predicted)
        for signal in answer.signals:
            if signal not in answer.known_signals:
                self._note_level(signal)
        if now is None or now == before:
            return []
        common, _ = self.correction.common()
        judged = Judged(answer.lane_id, answer.vendor_model, answer.predicted, *now, answer.at_s, before)
        self.correction.learn(judged)
        return self._test(answer, common)

    def advance(self, at_s: float) -> None:
        """Go forward to a time: shifts fade, and faults that checks found weigh less."""
        self.correction.advance(at_s)
        self.faults.advance(at_s)

    def shift_of(self, lane_id: str, vendor_model: str) -> tuple[float, float]:
        """Return a lane's shift, within the prior's `max_shift`, and its standard deviation."""
        return self._with_faults(lane_id, vendor_model, self.faults.drops([lane_id]))

    def shifts_of(self, lanes: Sequence[tuple[str, str]]) -> Floats:
        """Return the shifts of lanes, each given as (lane id, vendor model), shape (len(lanes),)."""
        drops = self.faults.drops()
        return np.array([self._with_faults(*lane, drops)[0] for lane in lanes], np.float64)

    def to_json(self) -> dict[str, object]:
        """Return the state that has to be stored."""
        return {
            "correction": self.correction.to_json(),
            "faults": self.faults.to_json(),
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
        faults = CheckFaults.from_json(stored["faults"], terms.prior.half_life_s)
        learning = cls(terms, LaneCorrection.from_json(stored["correction"], terms.prior), faults)
        for name, test in stored["tests"].items():
            learning.tests[name] = CalibrationTest.from_json(
                test, learning._tolerance(name), terms.answers_between_false_alarms
            )
        learning.levels = {name: (float(mean), float(count)) for name, (mean, count) in stored["levels"].items()}
        learning.vendor_models = {str(lane): str(vendor) for lane, vendor in stored["vendor_models"].items()}
        return learning

    def _test(self, answer: JudgedAnswer, common: float) -> list[str]:
        """Bet on an answer when feedback first says how good it was; return the tests that ring an alarm.

        A judgement of several answers is no bet: after the first of them the others are known.
        """
        absolute = [signal for signal in answer.signals if signal.is_absolute and signal.n_answers == 1]
        if not absolute or any(signal.is_absolute for signal in answer.known_signals):
            return []
        reward, _ = _mean(absolute)
        precision = [signal.std**-2 for signal in absolute]
        kept = sum(signal.kept * weight for signal, weight in zip(absolute, precision, strict=True)) / sum(precision)
        chance = min(max(answer.predicted, 0.01), 0.99)
        believed = 1 / (1 + exp(-(log(chance / (1 - chance)) + common)))
        ringing = []
        for name, predicted in ((ALL_LANES, chance), (answer.lane_id, believed)):
            test = self.tests.get(name)
            if test is None:
                test = CalibrationTest(self._tolerance(name), self.terms.answers_between_false_alarms)
                self.tests[name] = test
            if test.note(0.5 + kept * (predicted - 0.5), reward):
                ringing.append(name)
        return ringing

    def _tolerance(self, name: str) -> float:
        return self.terms.tolerance * (2 if name == ALL_LANES else 1)

    def _with_faults(self, lane_id: str, vendor_model: str, drops: Mapping[str, Drop]) -> tuple[float, float]:
        """Return the shift by judgements, moved towards what an excess of faults says, if that is lower."""
        shift, std = self.correction.shift_of(lane_id, vendor_model)
        drop = drops.get(lane_id)
        if drop is None or drop.shift >= shift:
            return shift, std
        gain = std**2 / (std**2 + drop.std**2)
        lower = shift + gain * (drop.shift - shift)
        return max(lower, -self.terms.prior.max_shift), std * sqrt(1 - gain)

    def _combined(self, signals: Sequence[Signal], predicted: float) -> tuple[float, float] | None:
        """Return the reward of the judgements and comparisons and its deviation, or None when there are none."""
        readings = [
            signal.corrected() if signal.is_absolute else self._against_level(signal, predicted)
            for signal in signals
            if not signal.is_check
        ]
        return _mean(readings) if readings else None

    def _against_level(self, signal: Signal, predicted: float) -> Signal:
        """Return a comparison as a reward, which may lie outside 0..1: a bound would move lanes by where they lie."""
        level, _ = self._level(signal.metric_name)
        return Signal(signal.metric_name, predicted + signal.reading - level, signal.std)

    def _level(self, metric_name: str) -> tuple[float, float]:
        return self.levels.get(metric_name, (_TIE, _LEVEL_ANSWERS))

    def _note_level(self, signal: Signal) -> None:
        if not signal.is_absolute and not signal.is_check:
            mean, count = self._level(signal.metric_name)
            self.levels[signal.metric_name] = (
                mean + (signal.reading - mean) / (count + 1),
                min(count + 1, _MOST_ANSWERS),
            )


def _checked(answer: JudgedAnswer, signals: Sequence[Signal]) -> CheckedAnswer:
    """Return an answer's faults by some of its feedback."""
    absolute = [signal.corrected() for signal in signals if signal.is_absolute]
    faults = {signal.metric_name: fault_of(signal.metric_name, signal.reading) for signal in signals if signal.is_check}
    judged = _mean(absolute)[0] if absolute else None
    return CheckedAnswer(answer.lane_id, answer.predicted, answer.at_s, faults, judged)


def read_signals(
    metric_names: Sequence[str], values: Sequence[float], n_answers: Sequence[int] | None = None
) -> tuple[Signal, ...]:
    """Return the signals of these metrics and values, in their order; metrics without a rule are left out.

    Args:
        metric_names, values: The signals.
        n_answers: Number of answers that each signal is about, at least 1; see `router.reward.combine_rewards`. None:
            each is about one.
    """
    about = [1] * len(values) if n_answers is None else n_answers
    measured = [each for each in zip(metric_names, values, about, strict=True) if each[0] in REWARD_RULES]
    names, numbers = [name for name, _, _ in measured], np.array([value for _, value, _ in measured], np.float64)
    shared = np.array([n for _, _, n in measured], np.float64)
    readings, stds = combine_rewards(np.arange(len(measured)), names, numbers, len(measured), n_answers=shared)
    return tuple(
        Signal(name, float(reading), float(std), int(n))
        for name, reading, std, n in zip(names, readings, stds, shared, strict=True)
        if reading == reading  # not NaN
    )


def _mean(signals: Sequence[Signal]) -> tuple[float, float]:
    precision = sum(signal.std**-2 for signal in signals)
    return sum(signal.reading * signal.std**-2 for signal in signals) / precision, precision**-0.5
