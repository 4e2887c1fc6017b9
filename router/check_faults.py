"""What automatic checks say about lanes: only more faults than luck explains count.

A check is no measurement of quality. It finds a fault in a share of the bad answers (its *sensitivity*), and in few of
the good ones (1 - its *specificity*). Both begin at a documented prior and are learned wherever an answer has a
judgement and a check:

    sensitivity = P(fault | bad answer)        specificity = P(no fault | good answer)

A lane's rate of faults is compared with the *level*: the rate of the account's other lanes. A lane from which worse
answers are predicted may have more faults anyway, by (sensitivity + specificity - 1) times the difference of the
predicted chances. What is left is the excess. Only the part of it beyond `LUCK` standard errors counts. It takes away
the difference that a fault makes (Bayes' rule at the lane's predicted chance):

    drop of P(good) = excess * (P(good | no fault) - P(good | fault))

So an excess never costs more than the answers in which the faults are, equal rates of all lanes move no lane, and a
lane never rises because a check found nothing. Several checks may find the same bad answers, so only the largest drop
of a lane counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log, sqrt
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from router.reward import REWARD_RULES

LUCK: Final = 3.0
"""Standard errors by which a lane's rate of faults has to exceed the level. Many lanes, checks and hours are looked at,
and chance exceeds 3 in one of 740."""
SHIFT_STD: Final = 0.3
"""Standard deviation of the shift that an excess of faults says, in log odds, besides luck. An assumption."""
PRIOR_ANSWERS: Final = 50.0
"""A check's prior weighs as much as this many good and as many bad answers that were judged and checked."""
_MOST_ANSWERS: Final = 1_000.0
"""Sensitivity and specificity rest on about this many judged answers of each kind; older ones fade."""
_LEAST_CHANCE: Final = 0.02
_LEAST_RATE: Final = 1e-3
_STEP_S: Final = 3_600.0
"""Weights of all counts are only made smaller once in this time."""


@dataclass(frozen=True, slots=True)
class CheckRule:
    """The prior of one check. All numbers are assumptions, and learned over where judgements and checks meet.

    Args:
        sensitivity: Share of the bad answers in which the check finds a fault, 0..1.
        specificity: Share of the good answers in which it finds none, 0..1.
        why: Reason for the numbers.
        is_logged_without_fault: Whether the log holds the check's result when it found nothing. If not, an answer with
            results of other checks counts as one without fault.
    """

    sensitivity: float
    specificity: float
    why: str
    is_logged_without_fault: bool = True


CHECK_RULES: Final[Mapping[str, CheckRule]] = MappingProxyType(
    {
        "schema_valid": CheckRule(0.3, 0.97, "An answer that cannot be read is of no use; many bad ones can be read."),
        "tool_arguments_valid": CheckRule(0.3, 0.97, "As schema_valid: a call that cannot be made is of no use."),
        "refusal": CheckRule(0.05, 0.99, "Few bad answers are refusals, and some refusals are right."),
        "truncated": CheckRule(
            0.1, 0.97, "Often it was the caller's own limit that cut the answer.", is_logged_without_fault=False
        ),
        "asked_again": CheckRule(0.15, 0.95, "People ask again when the answer was of no use, or to see another."),
        "edited_share": CheckRule(0.2, 0.95, "People replace what they cannot use, and polish what they can."),
    }
)
"""Name of an automatic check -> its prior."""


def fault_of(metric_name: str, reading: float) -> float:
    """Return how much of a fault a check found, 0..1, from its reading on the scale of `router.reward`."""
    rule = REWARD_RULES[metric_name]
    return (rule.best_quality - reading) / (rule.best_quality - rule.worst_quality)


class CheckedAnswer(NamedTuple):
    """An answer that checks looked at.

    Args:
        lane_id: Lane that gave it.
        predicted: Predicted P(good answer), without any shift, 0..1.
        at_s: Time of the request, seconds.
        faults: Check -> fault, 0..1.
        judged: Quality by the judgements of the same answer; None: there is none. It may lie outside 0..1, if its
            mean over many answers is their quality.
    """

    lane_id: str
    predicted: float
    at_s: float
    faults: Mapping[str, float]
    judged: float | None = None


@dataclass(slots=True)
class FaultCount:
    """The answers of one lane that one check looked at. Old answers weigh less.

    Args:
        answers, faults, predicted: Weighted sums: of the answers, of their faults, of their predicted chances.
        squares: Sum of the squared weights.
    """

    answers: float = 0.0
    faults: float = 0.0
    predicted: float = 0.0
    squares: float = 0.0

    def add(self, weight: float, fault: float, predicted: float, sign: float = 1.0) -> None:
        """Add an answer, or take it away again (`sign` -1)."""
        self.answers += sign * weight
        self.faults += sign * weight * fault
        self.predicted += sign * weight * predicted
        self.squares += sign * weight**2

    def scaled(self, factor: float) -> "FaultCount":
        """Return the count with weights multiplied by a factor."""
        return FaultCount(
            self.answers * factor, self.faults * factor, self.predicted * factor, self.squares * factor**2
        )

    def __add__(self, other: "FaultCount") -> "FaultCount":
        return FaultCount(
            self.answers + other.answers,
            self.faults + other.faults,
            self.predicted + other.predicted,
            self.squares + other.squares,
        )

    def __sub__(self, other: "FaultCount") -> "FaultCount":
        return FaultCount(
            self.answers - other.answers,
            self.faults - other.faults,
            self.predicted - other.predicted,
            self.squares - other.squares,
        )


class Drop(NamedTuple):
    """What an excess of faults says about a lane.

    Args:
        shift: Shift of the log odds of a good answer, at most 0.
        std: Standard deviation of the shift.
        metric_name: Check that found the faults.
    """

    shift: float
    std: float
    metric_name: str


@dataclass(slots=True)
class CheckFaults:
    """The faults that checks found in the answers of one account's lanes.

    Args:
        half_life_s: Age at which an answer weighs half as much, seconds.
        at_s: Time that the weights hold for; None: nothing was noted yet.
        counts: Check -> lane id -> its answers.
        overlaps: Check -> (faults in good answers, good answers, faults in bad answers, bad answers), of answers that
            were judged too.
    """

    half_life_s: float
    at_s: float | None = None
    counts: dict[str, dict[str, FaultCount]] = field(default_factory=dict)
    overlaps: dict[str, tuple[float, float, float, float]] = field(default_factory=dict)

    def note(self, answer: CheckedAnswer, sign: float = 1.0) -> None:
        """Count an answer, or take away what was counted of it before (`sign` -1)."""
        if not answer.faults:
            return
        self.at_s = answer.at_s if self.at_s is None else self.at_s
        self.advance(answer.at_s)
        weight = 0.5 ** ((self.at_s - answer.at_s) / self.half_life_s)
        for name, fault in _with_silent(answer.faults).items():
            lanes = self.counts.setdefault(name, {})
            lanes.setdefault(answer.lane_id, FaultCount()).add(weight, fault, answer.predicted, sign)
            if answer.judged is not None:
                self._note_overlap(name, fault, answer.judged, sign)

    def advance(self, at_s: float) -> None:
        """Go forward to a time: answers weigh less.

        A time less than `_STEP_S` ahead changes nothing yet: newer answers weigh a little more instead. A time in the
        past changes nothing.
        """
        if self.at_s is None or at_s < self.at_s + _STEP_S:
            return
        kept = 0.5 ** ((at_s - self.at_s) / self.half_life_s)
        self.counts = {
            name: {lane: count.scaled(kept) for lane, count in lanes.items() if count.answers * kept > 1e-3}
            for name, lanes in self.counts.items()
        }
        self.at_s = at_s

    def likelihood(self, metric_name: str) -> tuple[float, float]:
        """Return a check's sensitivity and specificity, by its prior and the answers that were judged too."""
        rule = CHECK_RULES[metric_name]
        faults_good, good, faults_bad, bad = self.overlaps.get(metric_name, (0.0, 0.0, 0.0, 0.0))
        sensitivity = (rule.sensitivity * PRIOR_ANSWERS + faults_bad) / (PRIOR_ANSWERS + max(bad, 0.0))
        false_rate = ((1 - rule.specificity) * PRIOR_ANSWERS + faults_good) / (PRIOR_ANSWERS + max(good, 0.0))
        return min(max(sensitivity, _LEAST_RATE), 1 - _LEAST_RATE), 1 - min(max(false_rate, _LEAST_RATE), 0.5)

    def drops(self, lane_ids: Iterable[str] | None = None) -> dict[str, Drop]:
        """Return lane id -> what an excess of faults says, for lanes that have one (among some lanes, or all)."""
        wanted = None if lane_ids is None else set(lane_ids)
        largest: dict[str, Drop] = {}
        for name, lanes in self.counts.items():
            whole = sum(lanes.values(), FaultCount())
            for lane_id, own in lanes.items():
                if wanted is not None and lane_id not in wanted:
                    continue
                drop = excess_drop(name, own, whole - own, self.likelihood(name))
                if drop is not None and drop.shift < largest.get(lane_id, drop._replace(shift=0.0)).shift:
                    largest[lane_id] = drop
        return largest

    def to_json(self) -> dict[str, object]:
        """Return the state that has to be stored."""
        return {
            "at_s": self.at_s,
            "counts": {
                name: {lane: [c.answers, c.faults, c.predicted, c.squares] for lane, c in lanes.items()}
                for name, lanes in self.counts.items()
            },
            "overlaps": {name: list(overlap) for name, overlap in self.overlaps.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], half_life_s: float) -> Self:
        """Return the faults with a stored state. Checks without a rule are left out.

        Raises:
            ValueError, TypeError, KeyError: The state is not of the stored form.
        """
        faults = cls(half_life_s, None if stored["at_s"] is None else float(stored["at_s"]))
        for name, lanes in stored["counts"].items():
            if name in CHECK_RULES:
                faults.counts[name] = {str(lane): FaultCount(*map(float, count)) for lane, count in lanes.items()}
        for name, (faults_good, good, faults_bad, bad) in stored["overlaps"].items():
            if name in CHECK_RULES:
                faults.overlaps[name] = float(faults_good), float(good), float(faults_bad), float(bad)
        return faults

    def _note_overlap(self, name: str, fault: float, judged: float, sign: float) -> None:
        faults_good, good, faults_bad, bad = self.overlaps.get(name, (0.0, 0.0, 0.0, 0.0))
        if sign > 0 and good + bad > 2 * _MOST_ANSWERS:
            kept = 1 - 1 / (2 * _MOST_ANSWERS)
            faults_good, good, faults_bad, bad = (value * kept for value in (faults_good, good, faults_bad, bad))
        self.overlaps[name] = (
            faults_good + sign * judged * fault,
            good + sign * judged,
            faults_bad + sign * (1 - judged) * fault,
            bad + sign * (1 - judged),
        )


def excess_drop(metric_name: str, own: FaultCount, others: FaultCount, likelihood: tuple[float, float]) -> Drop | None:
    """Return what a lane's excess of faults says about it; None: there is none beyond luck.

    Args:
        metric_name: Check.
        own: Lane's answers.
        others: Answers of the account's other lanes.
        likelihood: Sensitivity and specificity of the check.
    """
    if min(own.answers, others.answers) < 1 or min(own.squares, others.squares) <= 0:
        return None
    sensitivity, specificity = likelihood
    rate, level = own.faults / own.answers, others.faults / others.answers
    predicted, predicted_others = own.predicted / own.answers, others.predicted / others.answers
    expected = level + max((sensitivity + specificity - 1) * (predicted_others - predicted), 0.0)
    pooled = own + others
    usual = (pooled.faults + (1 - specificity)) / (pooled.answers + 1)
    error = sqrt(usual * (1 - usual) * (own.squares / own.answers**2 + others.squares / others.answers**2))
    excess = rate - expected - LUCK * error
    if excess <= 0:
        return None
    chance = min(max(predicted, _LEAST_CHANCE), 1 - _LEAST_CHANCE)
    if_passed = chance * specificity / (chance * specificity + (1 - chance) * (1 - sensitivity))
    if_faulty = chance * (1 - specificity) / (chance * (1 - specificity) + (1 - chance) * sensitivity)
    difference = if_passed - if_faulty
    if difference <= 0:
        return None
    worse = max(chance - excess * difference, _LEAST_CHANCE)
    shift = log(worse / (1 - worse)) - log(chance / (1 - chance))
    luck_std = error * difference / (worse * (1 - worse))
    return Drop(min(shift, 0.0), sqrt(SHIFT_STD**2 + luck_std**2), metric_name)


def _with_silent(faults: Mapping[str, float]) -> dict[str, float]:
    """Return the faults, and none of the checks that are only logged when they find one."""
    silent = {name: 0.0 for name, rule in CHECK_RULES.items() if not rule.is_logged_without_fault}
    return silent | dict(faults)
