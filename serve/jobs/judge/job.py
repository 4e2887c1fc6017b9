"""The judging job: find answers, estimate the cost, ask the judge, and store each judgement as it comes."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from fastapi import FastAPI
from sqlalchemy import Engine

from router.lane import Lane
from router.telemetry_schema import FeedbackRow
from router.text_window import estimate_tokens
from serve.app import create_app
from serve.clock import Clock
from serve.errors import ConfigurationError
from serve.hot_swap.deciding import deciding_generation
from serve.jobs.judge.asking import Judge, cost_usd
from serve.jobs.judge.logged_answers import LoggedAnswer, LoggedAnswers, Texts
from serve.jobs.judge.questions import (
    INSTRUCTION_CHARACTERS,
    METRICS_OF,
    MOST_CHARACTERS,
    PAIRWISE_METRIC,
    RUBRIC_METRIC,
    SPLIT_METRIC,
    Judgement,
    JudgingMode,
    pairwise_question,
    read_grade,
    read_preference,
    rubric_question,
)
from serve.jobs.judge.sample import pairs, stratified
from serve.jobs.run_budget import BudgetReachedError, RunBudget
from serve.lanes.assembler import LaneAssembler
from serve.settings import Settings
from serve.storage.database import open_database
from serve.storage.database_choice import database_url

_PARALLEL = 4
_USUAL_ANSWER_TOKENS = 60
_MARK_BYTES = 8
_LONGEST_REASON = 500

Task = tuple[LoggedAnswer, ...]
"""One answer to be graded, or two to be compared."""


@dataclass(frozen=True, slots=True)
class JudgingPlan:
    """The judge and the answers that it will judge.

    Args:
        lane: Lane of the judge.
        mode: Whether answers are graded or compared.
        tasks: Answers to judge, in order.
        expected_usd: Expected cost of all judgements.
        n_own: Number of answers left out because the judge's own model gave them.
        n_judged: Number of answers left out because this judge judged them before.
    """

    lane: Lane
    mode: JudgingMode
    tasks: Sequence[Task]
    expected_usd: Decimal
    n_own: int
    n_judged: int

    @property
    def judge(self) -> str:
        """Name of the judge in the feedback."""
        return f"judge:{self.lane.lane_id}"


@dataclass(frozen=True, slots=True)
class JudgingResult:
    """The result of a run.

    Args:
        values: Lane id -> judgements of its answers, 0..1.
        problems: Reason why answers have no judgement -> number of times.
        spent_usd: Cost of this run.
        n_left: Number of tasks that were left out because the budget was reached.
    """

    values: Mapping[str, Sequence[float]]
    problems: Mapping[str, int]
    spent_usd: Decimal
    n_left: int


def plan_judging(
    settings: Settings,
    environment: Mapping[str, str],
    clock: Clock,
    lane_id: str,
    mode: JudgingMode,
    count: int,
    account: str,
    since: datetime,
) -> JudgingPlan:
    """Choose the answers to judge.

    Raises:
        ConfigurationError: The lane is unknown, or there are no answers to judge.
    """
    lane = _find_lane(settings, environment, clock, lane_id)
    engine = open_database(database_url(settings.database, environment), must_exist=True)
    try:
        log = LoggedAnswers(engine)
        answers = log.find(account, since)
        judged = log.judged_by(f"judge:{lane.lane_id}", METRICS_OF[mode], [answer.request_id for answer in answers])
    finally:
        engine.dispose()
    others = [answer for answer in answers if answer.vendor_model != lane.vendor_model]
    unjudged = [answer for answer in others if answer.request_id not in judged]
    rng = Random(settings.seed)  # noqa: S311 - a sample, not a secret
    tasks: list[Task] = (
        [(answer,) for answer in stratified(unjudged, count, rng)]
        if mode == "rubric"
        else list(pairs(unjudged, count, rng))
    )
    if not tasks:
        raise ConfigurationError(_no_tasks_message(settings, account, mode, len(answers), len(others), len(unjudged)))
    expected = sum((_expected_usd(lane, task) for task in tasks), Decimal(0))
    return JudgingPlan(lane, mode, tasks, expected, len(answers) - len(others), len(others) - len(unjudged))


async def run_judging(
    plan: JudgingPlan,
    settings: Settings,
    environment: Mapping[str, str],
    clock: Clock,
    budget_usd: Decimal,
    max_tokens: int,
    advance: Callable[[], None],
) -> JudgingResult:
    """Ask the judge, four tasks at a time, until all are judged or the next call could exceed the budget.

    Each judgement is stored at once, so it is kept if the run ends early.
    """
    own = {
        "keys": None,
        "virtual_keys": (),
        "outcome_checks_per_s": 0,
        "exploration": None,
        "telemetry_content": "features",
    }
    app = create_app(settings.model_copy(update=own), environment, clock)
    engine = open_database(database_url(settings.database, environment), must_exist=True)
    try:
        return await _Run(plan, app, engine, clock, RunBudget(budget_usd), max_tokens).run(advance)
    finally:
        engine.dispose()


class _Run:
    def __init__(
        self, plan: JudgingPlan, app: FastAPI, engine: Engine, clock: Clock, budget: RunBudget, max_tokens: int
    ) -> None:
        self._plan = plan
        self._app = app
        self._log = LoggedAnswers(engine)
        self._clock = clock
        self._judge = Judge(app, plan.lane, budget, max_tokens)
        self._values: dict[str, list[float]] = {}
        self._n_left = 0

    async def run(self, advance: Callable[[], None]) -> JudgingResult:
        gate = asyncio.Semaphore(_PARALLEL)

        async def judge(task: Task) -> None:
            async with gate:
                try:
                    await self._judge_task(task)
                except BudgetReachedError:
                    self._n_left += 1
            advance()

        async with self._app.router.lifespan_context(self._app):
            await asyncio.gather(*map(judge, self._plan.tasks))
        return JudgingResult(self._values, Counter(self._judge.problems), self._judge.budget.spent_usd, self._n_left)

    async def _judge_task(self, task: Task) -> None:
        texts = [await asyncio.to_thread(self._log.texts, answer.request_id) for answer in task]
        present = [text for text in texts if text is not None]
        if len(present) < len(task):
            return  # a text was deleted in the meantime
        is_rubric = self._plan.mode == "rubric"
        verdict = await (self._grade(present[0]) if is_rubric else self._compare(present[0], present[1]))
        if verdict is None:
            return
        metric_name, judgements = verdict
        rows = [self._row(answer, metric_name, judgement) for answer, judgement in zip(task, judgements, strict=True)]
        await asyncio.to_thread(self._log.record, rows)
        for answer, judgement in zip(task, judgements, strict=True):
            self._values.setdefault(answer.lane_id, []).append(judgement.value)

    async def _grade(self, texts: Texts) -> tuple[str, list[Judgement]] | None:
        judgement = await self._judge.ask(rubric_question(texts, _mark()), read_grade)
        return None if judgement is None else (RUBRIC_METRIC, [judgement])

    async def _compare(self, one: Texts, other: Texts) -> tuple[str, list[Judgement]] | None:
        """Ask in both orders, because judges prefer one place. If the verdict changes with the order, it is a tie."""
        straight = await self._judge.ask(
            pairwise_question(one.prompt, one.answer, other.answer, _mark()), read_preference
        )
        if straight is None:
            return None
        swapped = await self._judge.ask(
            pairwise_question(one.prompt, other.answer, one.answer, _mark()), read_preference
        )
        if swapped is None:
            return None
        if straight.value != 1 - swapped.value:
            tie = Judgement(0.5, f"The order decided: {straight.reason} / {swapped.reason}")
            return SPLIT_METRIC, [tie, tie]
        return PAIRWISE_METRIC, [straight, Judgement(1 - straight.value, straight.reason)]

    def _row(self, answer: LoggedAnswer, metric_name: str, judgement: Judgement) -> FeedbackRow:
        return FeedbackRow(
            request_id=answer.request_id,
            metric_name=metric_name,
            value=judgement.value,
            comment=judgement.reason[:_LONGEST_REASON].replace("\0", "").encode(errors="replace").decode() or None,
            given_by=self._plan.judge,
            received_at=self._clock.now(),
        )


def _mark() -> str:
    return f"material-{secrets.token_hex(_MARK_BYTES)}"


def _find_lane(settings: Settings, environment: Mapping[str, str], clock: Clock, lane_id: str) -> Lane:
    generation = deciding_generation(settings, environment)
    table = LaneAssembler(settings, environment, generation, clock).of_operator().directory.table
    lanes = [table.lanes[row] for row in table.find(lane_id)]
    if not lanes:
        raise ConfigurationError(f"no lane is called {lane_id!r}. 'llmdeal prices' lists all lanes.")
    return min(lanes, key=lambda lane: lane.price.output_usd_per_mtok)


def _expected_usd(lane: Lane, task: Task) -> Decimal:
    """Return the expected cost of a task. Two answers are compared twice."""
    n_characters = min(sum(answer.n_characters for answer in task), (len(task) + 1) * MOST_CHARACTERS)
    prompt_tokens = estimate_tokens(n_characters + INSTRUCTION_CHARACTERS)
    return len(task) * cost_usd(lane, prompt_tokens, _USUAL_ANSWER_TOKENS)


def _no_tasks_message(
    settings: Settings, account: str, mode: JudgingMode, n_found: int, n_others: int, n_unjudged: int
) -> str:
    if n_found == 0:
        has_texts = settings.telemetry_content == "full"
        advice = "Take an earlier --since." if has_texts else 'Set telemetry_content = "full" and judge later answers.'
        return f"no answer to {account!r} has its text in the log. {advice}"
    if n_others == 0:
        return "all answers with their text are of the judge's own model. Choose another judge."
    if n_unjudged == 0:
        return "this judge has judged all answers with their text, so nothing is left to do"
    return f"no prompt was answered by two lanes, which {mode} needs. Use --mode rubric."
