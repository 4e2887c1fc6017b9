"""Plans the calibration of many models: which ones, and what asking them is expected to cost, and costs at most."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from router.arrays import Floats
from router.lane import Lane
from router.lane_table import LaneTable
from router.placement import PlacementSpace
from router.reference_answers import ReferenceAnswers
from serve.bundles.generation import Generation
from serve.bundles.placing import calibrated_name, needs_placing
from serve.clock import Clock
from serve.errors import ConfigurationError
from serve.hot_swap.deciding import deciding_generation
from serve.jobs.calibrate.questions import gradable_questions
from serve.jobs.calibrate.schedule import LEAST_VALUE, Schedule
from serve.jobs.calibrate.subjects import QuestionBank, Subject
from serve.jobs.calibrate.value_of_knowing import ValueOfKnowing
from serve.lanes.assembler import LaneAssembler
from serve.sandbox.lanes import PROVIDER as SANDBOX
from serve.settings import Settings

_WORTHWHILE = 10
"""Fewer answers than this move a belief too little: a model that the budget cannot ask that often is left out."""
_LARGEST_SHARE = 4
"""These answers may cost at most one `_LARGEST_SHARE`-th of the budget, so that no model takes all of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a run.

    Args:
        max_cost_usd: Most that the run may cost.
        n_models: Most models that are asked.
        per_model: Most answers of each model, those of earlier runs included.
        max_tokens: Limit on each answer.
        parallel: Most questions on their way to one account of a provider.
    """

    max_cost_usd: Decimal
    n_models: int = 20
    per_model: int = 50
    max_tokens: int = 4_096
    parallel: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class CommonPlan:
    """The models that are calibrated together.

    Args:
        generation: Loaded bundle.
        lanes: All lanes, with the placements of earlier answers.
        schedule: Models, and the order of the questions.
        limits: Limits of the run.
        n_left_out: Number of models that need calibration but are not asked in this run.
        left_out: Reason why questions that run code were left out; empty: none were.
    """

    generation: Generation
    lanes: tuple[Lane, ...]
    schedule: Schedule
    limits: Limits
    n_left_out: int
    left_out: str


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """What a dry run expects of one model.

    Args:
        subject: The model.
        value: Value of knowing it for certain, in good answers a request.
        std_before, std_after: Uncertainty of its log odds now, and after the planned questions.
        n_questions: Number of planned questions.
        expected_usd: Expected cost of them.
        most_usd: Most that they can cost.
    """

    subject: Subject
    value: float
    std_before: float
    std_after: float
    n_questions: int
    expected_usd: Decimal
    most_usd: Decimal


def plan_all(
    settings: Settings, environment: Mapping[str, str], clock: Clock, pattern: str, bank: Path, limits: Limits
) -> CommonPlan:
    """Choose the models that are worth most to know. Blocks, for some seconds with a thousand lanes.

    Args:
        settings, environment, clock: The gateway's own.
        pattern: Pattern of names, such as `openai/*`; only models that match are asked. Empty: all.
        bank: File of questions.
        limits: Limits of the run.

    Raises:
        ConfigurationError: No model needs calibration, the budget is too small for any of them, or the file of
            questions is malformed.
    """
    generation = deciding_generation(settings, environment)
    assembler = LaneAssembler(settings, environment, generation, clock)
    table = assembler.of_operator().directory.table
    questions, left_out = gradable_questions(bank)
    names = [calibrated_name(lane) for lane in table.lanes]
    reference = generation.read_reference()
    question_bank = QuestionBank.of(questions, PlacementSpace.of(reference), generation.quality_model)
    candidates = _candidates(table, generation, pattern)
    if not candidates:
        raise ConfigurationError(
            "no model needs calibration: the bundle was trained on all of them. Add provider keys, or name one model."
            if not pattern
            else f"no model that needs calibration matches {pattern!r}. 'llmdeal prices' lists all lanes."
        )
    value = ValueOfKnowing(table.lanes, names, generation.bundle, reference, settings.willingness_to_pay_usd)
    std = _belief_std(table, reference)
    answers = {calibration.vendor_model: calibration.answers for calibration in assembler.calibrations()}
    values = {name: value.of(name, float(std[rows].max())) for name, rows in candidates.items()}
    ranked = sorted(candidates, key=lambda name: -values[name])
    subjects: list[Subject] = []
    for name in ranked:
        if len(subjects) == limits.n_models:
            break
        lanes = _cheapest_first(table.lanes[row] for row in candidates[name])
        kept = list(answers.get(name, ()))
        if len(kept) >= limits.per_model or values[name] < LEAST_VALUE:
            continue
        subject = Subject(name, lanes, question_bank, limits.max_tokens, kept)
        if float(subject.expected_usd().mean()) * _WORTHWHILE * _LARGEST_SHARE <= float(limits.max_cost_usd):
            subjects.append(subject)
    if not subjects:
        raise ConfigurationError(
            f"no model is worth asking: each of {len(candidates)} has {limits.per_model} answers, changes no choice "
            f"whatever it turns out to be, or costs more than a quarter of {limits.max_cost_usd} USD for "
            f"{_WORTHWHILE} answers. Raise --max-cost or --questions."
        )
    value.focus([subject.name for subject in subjects])
    for subject in subjects:
        if subject.answers and (prior := subject.lanes[0].prior) is not None and prior.placement is not None:
            subject.use(prior.placement)
    schedule = Schedule(subjects, value, limits.per_model)
    return CommonPlan(generation, table.lanes, schedule, limits, len(candidates) - len(subjects), left_out)


def rehearse(plan: CommonPlan) -> list[PlannedModel]:
    """Return what a run would ask if every question cost what is expected, the model worth most first. Nothing is sent.

    The plan cannot be used for a run after this.
    """
    schedule, limits = plan.schedule, plan.limits
    before = {subject.name: (schedule.value_of(subject), subject.logit_std) for subject in schedule.subjects}
    expected = {subject.name: Decimal(0) for subject in schedule.subjects}
    most = dict(expected)
    spent = Decimal(0)
    while (following := schedule.next(lambda subject: True, float(limits.max_cost_usd - spent))) is not None:
        subject, place = following
        cost = Decimal(str(float(subject.expected_usd()[place])))
        expected[subject.name] += cost
        most[subject.name] += subject.most_usd(place)
        spent += cost
        subject.send(place)
    planned = [
        PlannedModel(
            subject,
            *before[subject.name],
            subject.logit_std,
            len(subject.pending),
            expected[subject.name],
            most[subject.name],
        )
        for subject in schedule.subjects
    ]
    return sorted(planned, key=lambda each: -each.value)


def _belief_std(table: LaneTable, reference: ReferenceAnswers) -> Floats:
    """Return the standard deviation of the log odds of each lane on the mean reference prompt, shape (n_lanes,)."""
    if table.rows is None or reference.demand is None:
        return table.ability_std
    return np.asarray(table.rows.believe(reference.demand.mean(axis=0)).odds_against[1], np.float64)


def _candidates(table: LaneTable, generation: Generation, pattern: str) -> dict[str, list[int]]:
    """Return name -> rows of the models that the bundle was not trained on."""
    candidates: dict[str, list[int]] = {}
    for row, lane in enumerate(table.lanes):
        name = calibrated_name(lane)
        if not needs_placing(lane, generation.bundle) or lane.provider == SANDBOX:
            continue
        if not pattern or fnmatchcase(name, pattern) or fnmatchcase(lane.lane_id, pattern):
            candidates.setdefault(name, []).append(row)
    return candidates


def _cheapest_first(lanes: Iterable[Lane]) -> tuple[Lane, ...]:
    return tuple(sorted(lanes, key=lambda lane: (lane.is_reserve, lane.price.output_usd_per_mtok, lane.lane_id)))
