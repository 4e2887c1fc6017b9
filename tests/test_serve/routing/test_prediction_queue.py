"""Requests of one moment are predicted together; each of them gets its own answer, whatever becomes of the others."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

import numpy as np
import pytest

from router.context import RouteContext
from router.errors import PredictionError
from router.quality_model import Prediction
from router.reason import ROUTER_UNAVAILABLE
from serve.routing.prediction_queue import MOST_AT_ONCE, Belief, PredictionQueue


class DiaryModel:
    """A quality model that notes the prompts that it was asked about; the difficulty is the prompt's length."""

    trained_names = ("a", "b")
    version = "diary"

    def __init__(self) -> None:
        self.diary: list[str] = []

    def predict(self, context: RouteContext) -> Prediction:
        self.diary.append(context.text)
        if context.text == "failing graph":
            raise PredictionError("diary failed (Fail)")
        if context.text == "defect":
            raise ZeroDivisionError
        level = np.full(2, 0.9, np.float32)
        return Prediction(level, level, level, float(len(context.text)), 1.0, level)


async def ask(queue: PredictionQueue, model: DiaryModel, prompt: str, n_turns_before: int = 0) -> Belief:
    """Do what a request does: some steps, the prediction, and a step that shows in the diary."""
    for _ in range(n_turns_before):
        await asyncio.sleep(0)
    belief = await queue.predict(model, RouteContext.from_prompt(prompt))
    model.diary.append(f"{prompt} sent")
    return belief


def run(*requests: Coroutine[None, None, Belief]) -> list[Belief | BaseException]:
    async def together() -> list[Belief | BaseException]:
        return await asyncio.gather(*requests, return_exceptions=True)

    return asyncio.run(together())


def difficulty(belief: Belief | BaseException) -> float:
    assert isinstance(belief, tuple)
    return belief[0].difficulty


def test_requests_of_one_turn_are_predicted_before_any_goes_on() -> None:
    queue, model = PredictionQueue(), DiaryModel()
    beliefs = run(*(ask(queue, model, prompt) for prompt in ("x", "yy", "zzz")))
    assert [difficulty(belief) for belief in beliefs] == [1.0, 2.0, 3.0]
    assert model.diary == ["x", "yy", "zzz", "x sent", "yy sent", "zzz sent"]


def test_those_who_follow_at_the_next_turn_are_waited_for() -> None:
    queue, model = PredictionQueue(), DiaryModel()
    run(ask(queue, model, "x"), ask(queue, model, "y"), ask(queue, model, "late", 1))
    assert model.diary[:3] == ["x", "y", "late"]


def test_a_request_alone_waits_for_nobody() -> None:
    queue, model = PredictionQueue(), DiaryModel()
    run(ask(queue, model, "x"), ask(queue, model, "late", 3))
    assert model.diary == ["x", "x sent", "late", "late sent"]


def test_waiting_ends_though_others_keep_coming() -> None:
    queue, model = PredictionQueue(), DiaryModel()
    run(ask(queue, model, "x"), *(ask(queue, model, str(n_turns), n_turns) for n_turns in range(12)))
    assert model.diary.index("x sent") < model.diary.index("11")


def test_the_loop_goes_on_between_many() -> None:
    queue, model = PredictionQueue(), DiaryModel()
    n_requests = 3 * MOST_AT_ONCE
    beliefs = run(*(ask(queue, model, str(number)) for number in range(n_requests)))
    assert model.diary.index("0 sent") < model.diary.index(str(n_requests - 1))
    assert len(beliefs) == n_requests


def test_a_failing_graph_leaves_the_request_with_nothing_known() -> None:
    queue, model = PredictionQueue(), DiaryModel()
    failed, fine = run(ask(queue, model, "failing graph"), ask(queue, model, "fine"))
    assert isinstance(failed, tuple)
    assert failed[1] is ROUTER_UNAVAILABLE
    assert failed[0].quality.tolist() == [0.5, 0.5]
    assert difficulty(fine) == 4.0


def test_a_defect_is_the_matter_of_one_request() -> None:
    queue, model = PredictionQueue(), DiaryModel()
    broken, fine = run(ask(queue, model, "defect"), ask(queue, model, "fine"))
    assert isinstance(broken, ZeroDivisionError)
    assert difficulty(fine) == 4.0


@pytest.mark.parametrize("n_others", [0, 2])
def test_nobody_asks_for_a_caller_who_left(n_others: int) -> None:
    async def leave() -> list[Belief]:
        leaver = asyncio.ensure_future(ask(queue, model, "left"))
        others = [asyncio.ensure_future(ask(queue, model, "stayed")) for _ in range(n_others)]
        await asyncio.sleep(0)
        leaver.cancel()
        with suppress(asyncio.CancelledError):
            await leaver
        return await asyncio.gather(*others, ask(queue, model, "came later"))

    queue, model = PredictionQueue(), DiaryModel()
    assert len(asyncio.run(leave())) == n_others + 1
    assert "left" not in model.diary
