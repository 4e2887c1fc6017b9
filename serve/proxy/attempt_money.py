"""The money of one attempt: held before it is sent, settled once when it ends."""

from typing import Final

from router.price_table import Cost, TokenUsage
from router.telemetry_schema import Outcome
from serve.dialects.usage_estimate import estimate_usage
from serve.money.hold import Hold
from serve.routing.call import Call

UNCHARGED_OUTCOMES: Final = frozenset({"rate_limited", "connect_error", "upstream_error", "refused", "over_budget"})
"""Outcomes that cost nothing unless the provider counted tokens: it refused, or was not reached."""


class AttemptMoney:
    """Holds and settles for one attempt.

    Args:
        call: The request.
        row: Row of the lane in the decision's table.
        number: Number of the attempt, from 0.
    """

    __slots__ = ("_call", "_cost", "_hold", "_number", "_priced_usage", "_row")

    def __init__(self, call: Call, row: int, number: int) -> None:
        self._call = call
        self._row = row
        self._number = number
        self._hold: Hold | None = None
        self._cost: Cost | None = None
        self._priced_usage: TokenUsage | None = None

    async def hold(self) -> None:
        """Reserve the most that the attempt is expected to cost.

        Raises:
            NotHeld: A budget has not enough left, or cannot say what it has.
        """
        self._hold = await self._call.hold(self._row, self._number)

    def cost_of(self, usage: TokenUsage) -> Cost:
        """Return the cost of these tokens on the lane. Body, headers and log ask for one usage: it is priced once."""
        if self._cost is None or self._priced_usage is not usage:
            self._cost, self._priced_usage = self._call.cost(self._row, usage), usage
        return self._cost

    def usage_to_charge(self, outcome: Outcome, usage: TokenUsage | None) -> TokenUsage | None:
        """Return the usage to charge; None: nothing is charged.

        If no usage was counted, the provider may still have read the prompt, so the prompt is charged.
        """
        if usage is None and self._hold is not None and outcome not in UNCHARGED_OUTCOMES:
            return estimate_usage(self._call.context.prompt_tokens, 0)
        return usage

    def note_progress(self, usage: TokenUsage) -> None:
        """Write down what a stream has cost so far: it is charged if the process is killed."""
        if self._hold is not None:
            call = self._call
            cost = call.cost(self._row, usage)
            call.spending.note_progress(self._hold, call.connection(self._row), usage, cost)

    def settle(self, usage: TokenUsage | None) -> None:
        """End the hold, if there is one. None: nothing is charged."""
        if self._hold is not None:
            cost = None if usage is None else self.cost_of(usage)
            self._call.spending.settle(self._hold, self._call.connection(self._row), usage, cost)
