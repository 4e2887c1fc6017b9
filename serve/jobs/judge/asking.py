"""Asks the judge through the gateway itself, within the budget.

The most that a call may cost is set aside before the call is sent.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from fastapi import FastAPI

from router.lane import Capability, Lane
from serve.jobs.calibrate.asking import post_chat
from serve.jobs.judge.questions import Judgement, JudgeQuestion
from serve.jobs.run_budget import RunBudget

TAG = "judge"
_TIMES_ASKED = 2


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    cost: float | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage


class _Problem(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Problem


def most_usd(lane: Lane, question: JudgeQuestion, answer_tokens: int) -> Decimal:
    """Return the most that a call costs with an answer of this length.

    No tokenizer makes more tokens of a text than the text has bytes.
    """
    return cost_usd(lane, question.n_bytes, answer_tokens)


def cost_usd(lane: Lane, prompt_tokens: int, answer_tokens: int) -> Decimal:
    """Return the cost of a call of this size."""
    price = lane.price
    tokens_usd = prompt_tokens * price.input_usd_per_mtok + answer_tokens * price.output_usd_per_mtok
    return tokens_usd / 10**6 + price.request_usd


@dataclass(slots=True)
class Judge:
    """Asks one lane.

    Args:
        app: Running gateway that takes requests without a virtual key.
        lane: Lane of the judge.
        budget: Budget of the run.
        max_tokens: Limit on each answer.
        problems: Reason why there was no judgement -> number of times.
    """

    app: FastAPI
    lane: Lane
    budget: RunBudget
    max_tokens: int
    problems: Counter[str] = field(default_factory=Counter)

    async def ask(self, question: JudgeQuestion, read: Callable[[str], Judgement | None]) -> Judgement | None:
        """Return the judgement; None: there is none, see `problems`. An unreadable answer is asked for once more.

        Raises:
            BudgetReachedError: The budget has too little left; no call was sent.
        """
        for _ in range(_TIMES_ASKED):
            text = await self._answer(question)
            if text is None:
                return None
            if (judgement := read(text)) is not None:
                return judgement
        self.problems["its answer is not the JSON that it was asked for"] += 1
        return None

    async def _answer(self, question: JudgeQuestion) -> str | None:
        most = most_usd(self.lane, question, self.max_tokens)
        self.budget.hold(most)
        cost: Decimal | None = None
        try:
            status, content = await post_chat(self.app, msgspec.json.encode(self._body(question)), TAG)
            if status == 200:
                completion = msgspec.json.decode(content, type=_Completion)
                cost = None if completion.usage.cost is None else Decimal(str(completion.usage.cost))
                return completion.choices[0].message.content or ""
            cost = Decimal(0)  # refused, or not reached
            self.problems[msgspec.json.decode(content, type=_Refusal).error.message] += 1
            return None
        finally:
            self.budget.settle(most, cost)

    def _body(self, question: JudgeQuestion) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self.lane.lane_id,
            "messages": [
                {"role": "system", "content": question.instructions},
                {"role": "user", "content": question.material},
            ],
            "max_completion_tokens": self.max_tokens,
            "temperature": 0,
            "provider": {"allow_fallbacks": False},
        }
        if Capability.JSON_SCHEMA in self.lane.capabilities:
            schema = {"name": "judgement", "strict": True, "schema": question.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif Capability.JSON_OBJECT in self.lane.capabilities:
            body["response_format"] = {"type": "json_object"}
        return body
