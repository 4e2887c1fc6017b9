"""Asks the judge through the gateway itself, never for more than the budget: what a call may cost at most is set aside before it is sent."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from fastapi import FastAPI

from router.lane import Capability, Lane
from serve.jobs.calibrate.asking import post_chat
from serve.jobs.judge.questions import Judgement, JudgeQuestion

TAG = "judge"
_TIMES_ASKED = 2


class BudgetReachedError(Exception):
    """The next call could cost more than what is left."""


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


@dataclass(slots=True)
class JudgePurse:
    """What may be spent in this run. For one event loop.

    Args:
        budget_usd: In all.
        spent_usd: So far; a call whose cost is unknown counts with the most that it may have cost.
        held_usd: By calls that are on their way.
    """

    budget_usd: Decimal
    spent_usd: Decimal = Decimal(0)
    held_usd: Decimal = Decimal(0)

    def hold(self, most_usd: Decimal) -> None:
        """Set an amount aside.

        Raises:
            BudgetReachedError: Less is left.
        """
        if self.spent_usd + self.held_usd + most_usd > self.budget_usd:
            raise BudgetReachedError
        self.held_usd += most_usd

    def settle(self, most_usd: Decimal, cost_usd: Decimal | None) -> None:
        """Give back what was held, and count what was spent."""
        self.held_usd -= most_usd
        self.spent_usd += most_usd if cost_usd is None else cost_usd


def most_usd(lane: Lane, question: JudgeQuestion, answer_tokens: int) -> Decimal:
    """Return what a call costs at most with an answer of so many tokens: no tokenizer makes more tokens of a text than it has bytes."""
    return cost_usd(lane, question.n_bytes, answer_tokens)


def cost_usd(lane: Lane, prompt_tokens: int, answer_tokens: int) -> Decimal:
    """Return what a call of this size costs."""
    price = lane.price
    tokens_usd = prompt_tokens * price.input_usd_per_mtok + answer_tokens * price.output_usd_per_mtok
    return tokens_usd / 10**6 + price.request_usd


@dataclass(slots=True)
class Judge:
    """Asks one lane.

    Args:
        app: A gateway that takes requests without a virtual key, started.
        lane: The judge.
        purse: Who pays.
        max_tokens: Limit on each answer.
        problems: Why there were no judgements, and how often.
    """

    app: FastAPI
    lane: Lane
    purse: JudgePurse
    max_tokens: int
    problems: Counter[str] = field(default_factory=Counter)

    async def ask(self, question: JudgeQuestion, read: Callable[[str], Judgement | None]) -> Judgement | None:
        """Return the judgement; asked once more when it cannot be read. None: there is none, see `problems`.

        Raises:
            BudgetReachedError: Nothing was sent.
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
        self.purse.hold(most)
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
            self.purse.settle(most, cost)

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
