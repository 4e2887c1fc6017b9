"""The calibration job: choose a lane and the most informative questions, ask, grade, place, and keep the answers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.lane import Lane
from router.lane_table import LaneTable
from router.placement import PlacementSpace
from router.text_window import estimate_tokens
from serve.app import create_app
from serve.bundles.calibration_file import (
    FORMAT_VERSION,
    CalibrationAnswer,
    CalibrationFile,
    calibrations_folder,
    write_calibration,
)
from serve.bundles.generation import Generation
from serve.bundles.placing import calibrated_name, predict_all, with_placement
from serve.clock import Clock
from serve.errors import ConfigurationError
from serve.hot_swap.deciding import deciding_generation
from serve.jobs.calibrate.asking import AskedQuestion, ask_questions
from serve.jobs.calibrate.effect import LaneOutlook, lane_outlooks
from serve.jobs.calibrate.questions import Question, gradable_questions
from serve.jobs.calibrate.subjects import numbered_kinds
from serve.lanes.assembler import LaneAssembler
from serve.settings import Settings

FEWEST_ANSWERS = 10


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """The lane and the questions that it will be asked.

    Args:
        generation: Loaded bundle.
        table: All lanes.
        lane: Lane that is asked.
        questions: Questions to ask, the most informative first.
        expected_usd: Expected cost of all answers.
        left_out: Reason why questions that run code were left out; empty: none were.
    """

    generation: Generation
    table: LaneTable
    lane: Lane
    questions: Sequence[Question]
    expected_usd: float
    left_out: str


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """The result of a calibration.

    Args:
        asked: Every question with its result.
        before, after: Expected figures of the lane without and with its answers.
        path: File that holds the answers.
    """

    asked: Sequence[AskedQuestion]
    before: LaneOutlook
    after: LaneOutlook
    path: Path


def plan_calibration(
    settings: Settings, environment: Mapping[str, str], clock: Clock, name: str, lane_id: str, count: int, bank: Path
) -> CalibrationPlan:
    """Choose the lane and the questions.

    Args:
        settings, environment, clock: The gateway's own.
        name: Name of the model.
        lane_id: Id of the lane; empty: the cheapest lane that serves the model.
        count: Number of questions.
        bank: File that the questions are chosen from.

    Raises:
        ConfigurationError: The lane is unknown, it needs no calibration, or the file of questions is malformed.
    """
    generation = deciding_generation(settings, environment)
    table = LaneAssembler(settings, environment, generation, clock).of_operator().directory.table
    lane = _find_lane(table, name, lane_id)
    if lane.trained_name in generation.bundle.trained_names:
        model = calibrated_name(lane)
        raise ConfigurationError(
            f"{model} needs no calibration: the bundle was trained on its answers. Choose another model."
        )
    questions, left_out = gradable_questions(bank)
    quality, tokens = predict_all(generation.quality_model, [question.prompt for question in questions])
    chosen = PlacementSpace.of(generation.read_reference()).choose(quality, count, numbered_kinds(questions))
    picked = [questions[place] for place in chosen]
    expected_usd = _expected_usd(lane, picked, float(tokens[chosen].mean()))
    return CalibrationPlan(generation, table, lane, picked, expected_usd, left_out)


async def run_calibration(
    plan: CalibrationPlan,
    settings: Settings,
    environment: Mapping[str, str],
    clock: Clock,
    max_tokens: int,
    worth_usd: float,
    advance: Callable[[], None],
) -> CalibrationResult:
    """Ask the questions, grade the answers, place the model and write the answers.

    Raises:
        ConfigurationError: Too few questions were answered, or the file cannot be written. No file is left then.
    """
    app = create_app(settings.model_copy(update={"keys": None, "virtual_keys": ()}), environment, clock)
    asked = await ask_questions(app, plan.lane, plan.questions, max_tokens, advance)
    calibration = _graded(plan.lane, asked, clock)
    reference, bundle = plan.generation.read_reference(), plan.generation.bundle
    placement = plan.generation.place(calibration, plan.lane)
    lanes = plan.table.lanes
    name = calibrated_name(plan.lane)
    placed = [with_placement(lane, placement) if calibrated_name(lane) == name else lane for lane in lanes]
    before, after = (
        lane_outlooks(each, [plan.lane.lane_id], bundle, reference, worth_usd)[0] for each in (lanes, placed)
    )
    path = write_calibration(calibrations_folder(settings.calibrations, environment), calibration)
    return CalibrationResult(asked, before, after, path)


def _find_lane(table: LaneTable, name: str, lane_id: str) -> Lane:
    lanes = [table.lanes[row] for row in table.find(name)]
    if not lanes:
        raise ConfigurationError(f"no lane is called {name!r}. 'llmdeal prices' lists all lanes.")
    serving = [lane for lane in lanes if not lane_id or lane.lane_id == lane_id]
    if not serving:
        raise ConfigurationError(
            f"the lane {lane_id!r} does not serve {name}. Choose one of {', '.join(lane.lane_id for lane in lanes)}."
        )
    return min(serving, key=lambda lane: lane.price.output_usd_per_mtok)


def _expected_usd(lane: Lane, questions: Sequence[Question], mean_tokens: float) -> float:
    price = lane.price
    prompt_tokens = sum(estimate_tokens(len(question.prompt)) for question in questions)
    each = mean_tokens * float(price.output_usd_per_mtok) / 1e6 + float(price.request_usd)
    return prompt_tokens * float(price.input_usd_per_mtok) / 1e6 + len(questions) * each


def _graded(lane: Lane, asked: Sequence[AskedQuestion], clock: Clock) -> CalibrationFile:
    answers = tuple(
        CalibrationAnswer(
            each.question.id, each.question.kind, each.question.prompt, each.score, each.completion_tokens
        )
        for each in asked
        if each.score is not None
    )
    if len(answers) < FEWEST_ANSWERS:
        problem, times = Counter(each.problem for each in asked if each.score is None).most_common(1)[0]
        raise ConfigurationError(
            f"{lane.lane_id}: {len(answers)} of {len(asked)} questions were answered, so nothing was written. "
            f"The most frequent problem ({times} times): {problem}"
        )
    return CalibrationFile(FORMAT_VERSION, calibrated_name(lane), lane.lane_id, clock.now(), answers)
