"""Calibrates many models at once, within a budget. Every answer is kept as it comes, so a later run goes on."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from fastapi import FastAPI

from router.lane import Lane
from router.placement import Placement
from serve.app import create_app
from serve.bundles.calibration_file import (
    FORMAT_VERSION,
    CalibrationAnswer,
    CalibrationFile,
    calibrations_folder,
    keep_answer,
)
from serve.bundles.placing import calibrated_name, with_placement
from serve.clock import Clock
from serve.jobs.calibrate.asking import AskedQuestion, ask_question
from serve.jobs.calibrate.effect import LaneOutlook, lane_outlooks
from serve.jobs.calibrate.plan_all import CommonPlan
from serve.jobs.calibrate.schedule import LEAST_VALUE
from serve.jobs.calibrate.subjects import Subject
from serve.jobs.run_budget import RunBudget
from serve.settings import Settings

_PAUSES_S = (2.0, 5.0, 15.0, 30.0)
"""Pauses after failures of a model that follow each other. After one more failure it is asked no more."""


@dataclass(frozen=True, slots=True)
class ModelResult:
    """The result for one model.

    Args:
        subject: The model, with its answers, its cost and the reason why it was asked no more.
        before, after: Expected figures of its lane without and with the answers of this run.
        std_before, std_after: Uncertainty of the log odds of its good answers, without and with them.
        is_settled: Whether more answers would change hardly any choice.
    """

    subject: Subject
    before: LaneOutlook
    after: LaneOutlook
    std_before: float
    std_after: float
    is_settled: bool


@dataclass(frozen=True, slots=True)
class CommonResult:
    """The result of a run.

    Args:
        models: Result of each model.
        spent_usd: Cost of the run.
        problems: Reason why there was no answer -> number of times.
        is_out_of_money: Whether questions were left that the budget had not enough for.
        folder: Folder of the answers.
    """

    models: Sequence[ModelResult]
    spent_usd: Decimal
    problems: Mapping[str, int]
    is_out_of_money: bool
    folder: Path


class CommonRun:
    """One run. For one event loop.

    Args:
        plan: Models and limits.
        settings, environment, clock: The gateway's own.
        on_progress: Function that receives the sum spent so far after each question.
        pauses_s: Pauses after failures that follow each other.
    """

    def __init__(
        self,
        plan: CommonPlan,
        settings: Settings,
        environment: Mapping[str, str],
        clock: Clock,
        on_progress: Callable[[Decimal], None],
        pauses_s: Sequence[float] = _PAUSES_S,
    ) -> None:
        own = {"keys": None, "virtual_keys": (), "outcome_checks_per_s": 0, "exploration": None}
        self._app: FastAPI = create_app(settings.model_copy(update=own), environment, clock)
        self._folder = calibrations_folder(settings.calibrations, environment)
        self._worth_usd = settings.willingness_to_pay_usd
        self._plan, self._clock, self._pauses_s = plan, clock, pauses_s
        self._budget = RunBudget(plan.limits.max_cost_usd)
        self._on_progress = on_progress
        self._problems: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._resting: set[str] = set()
        self._placements: dict[str, Placement] = {}
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Send no more questions. Answers on their way are waited for and kept, because they are paid for."""
        self._stopped.set()

    async def run(self) -> CommonResult:
        """Ask until the budget, the questions or the models are used up, or until `stop`.

        Raises:
            ConfigurationError: An answer cannot be kept.
        """
        std_before = {subject.name: subject.logit_std for subject in self._plan.schedule.subjects}
        async with self._app.router.lifespan_context(self._app):
            tasks: set[asyncio.Task[None]] = set()
            try:
                while True:
                    tasks |= self._sent()
                    if not tasks:
                        break
                    done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return self._result(std_before)

    def _sent(self) -> set[asyncio.Task[None]]:
        """Send the questions that may be sent now, and return their tasks."""
        tasks: set[asyncio.Task[None]] = set()
        while not self._stopped.is_set():
            left = float(self._budget.budget_usd - self._budget.spent_usd)
            following = self._plan.schedule.next(self._may_be_asked, left)
            if following is None:
                break
            subject, place = following
            most = subject.most_usd(place)
            if not self._budget.has_room(most):
                break  # wait until a call on its way gives back what it does not cost
            self._budget.hold(most)
            subject.send(place)
            tasks.add(asyncio.create_task(self._ask(subject, place, most)))
        return tasks

    def _may_be_asked(self, subject: Subject) -> bool:
        if subject.name in self._resting:
            return False
        on_their_way = sum(
            len(each.pending) for each in self._plan.schedule.subjects if each.account == subject.account
        )
        return on_their_way < self._plan.limits.parallel

    async def _ask(self, subject: Subject, place: int, most: Decimal) -> None:
        lane, cost = subject.lane, None
        is_answered = False
        try:
            question = subject.bank.questions[place]
            asked = await ask_question(self._app, lane, question, subject.max_tokens)
            cost, is_answered = asked.cost_usd, asked.score is not None
            if is_answered:
                self._keep(subject, lane, place, asked)
        finally:
            self._budget.settle(most, cost)
            subject.spent_usd += most if cost is None else cost
            if not is_answered:
                subject.drop(place)
        self._on_progress(self._budget.spent_usd)
        if not is_answered:
            await self._note_failure(subject, lane, asked)

    def _keep(self, subject: Subject, lane: Lane, place: int, asked: AskedQuestion) -> None:
        question, score = asked.question, asked.score
        assert score is not None
        answer = CalibrationAnswer(question.id, question.kind, question.prompt, score, asked.completion_tokens)
        keep_answer(self._folder, subject.name, lane.lane_id, self._clock.now(), answer)
        subject.answers.append(answer)
        subject.pending.remove(place)
        subject.n_new += 1
        self._failures[subject.name] = 0
        placement = self._placement(subject)
        subject.use(placement)
        self._plan.schedule.note_belief(subject, [with_placement(lane, placement) for lane in subject.lanes])

    def _placement(self, subject: Subject) -> Placement:
        calibration = CalibrationFile(
            FORMAT_VERSION, subject.name, subject.lane.lane_id, self._clock.now(), tuple(subject.answers)
        )
        placement = self._placements[subject.name] = self._plan.generation.place(calibration, subject.lane)
        return placement

    async def _note_failure(self, subject: Subject, lane: Lane, asked: AskedQuestion) -> None:
        self._problems[f"{lane.lane_id}: {asked.problem}"] += 1
        if lane is not subject.lane or subject.ended:
            return  # another question has shown this before
        n_failures = self._failures[subject.name] = self._failures[subject.name] + 1
        if asked.is_hopeless or n_failures > len(self._pauses_s):
            self._failures[subject.name] = 0
            if not subject.use_next_lane():
                subject.ended = asked.problem
            return
        self._resting.add(subject.name)
        try:
            async with asyncio.timeout(self._pauses_s[n_failures - 1]):
                await self._stopped.wait()
        except TimeoutError:
            pass
        finally:
            self._resting.discard(subject.name)

    def _is_out_of_money(self) -> bool:
        return not self._stopped.is_set() and any(
            self._plan.schedule.is_wanted(subject) and subject.best_question(float("inf")) is not None
            for subject in self._plan.schedule.subjects
        )

    def _result(self, std_before: Mapping[str, float]) -> CommonResult:
        plan = self._plan
        reference, bundle = plan.generation.read_reference(), plan.generation.bundle
        placed = [
            with_placement(lane, placement)
            if (placement := self._placements.get(calibrated_name(lane))) is not None
            and lane.trained_name not in bundle.trained_names
            else lane
            for lane in plan.lanes
        ]
        subjects = plan.schedule.subjects
        ids = [subject.lane.lane_id for subject in subjects]
        before, after = (lane_outlooks(each, ids, bundle, reference, self._worth_usd) for each in (plan.lanes, placed))
        models = [
            ModelResult(
                subject,
                each_before,
                each_after,
                std_before[subject.name],
                subject.logit_std,
                plan.schedule.value_of(subject) < LEAST_VALUE,
            )
            for subject, each_before, each_after in zip(subjects, before, after, strict=True)
        ]
        return CommonResult(models, self._budget.spent_usd, self._problems, self._is_out_of_money(), self._folder)
