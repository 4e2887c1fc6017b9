"""What a request may cost, which scopes pay for it, and whether their budgets are spent."""

from collections.abc import Callable, Iterable
from datetime import datetime
from math import ceil

import numpy as np
import numpy.typing as npt

from router.arrays import Floats
from router.context import RouteContext
from router.lane import Lane
from router.price_table import Cost, Price, TokenUsage, quote_cost, quote_most
from serve.identity.virtual_keys import VirtualKeyHolder
from serve.lanes.directory import LaneConnection, LaneDirectory
from serve.money.budget import Nusd
from serve.money.budget_keeper import BudgetKeeper
from serve.money.hold import Hold
from serve.money.scopes import account_scope, hosted_scope, provider_key_scope, virtual_key_scope

AT_COST = "@cost"
"""Suffix of the id of a hosted attempt's second charge: the provider's price for the operator, without the markup."""
# The count of a prompt's tokens is an estimate; some providers were seen to count half as much again.
_PROMPT_MARGIN = 2


class Spending:
    """Holds and settles for requests.

    Args:
        keeper: Keeper of the budgets.
        hold_output_tokens: Length of the answer to reserve for, in tokens, if the request sets no limit and the bundle
            does not say how long answers may get.
    """

    def __init__(self, keeper: BudgetKeeper, hold_output_tokens: int) -> None:
        self._keeper = keeper
        self._hold_output_tokens = hold_output_tokens

    def most(self, lane: Lane, price: Price, context: RouteContext, high_tokens: float | None = None) -> Nusd:
        """Return the most that a request is expected to cost on a lane at this price.

        Args:
            lane: Lane that is asked.
            price: Price at which it is billed.
            context: The request; its own limit on the answer counts before anything else.
            high_tokens: Tokens that 95% of the lane's answers stay below; None: unknown.
        """
        if context.max_output_tokens is not None:
            output = context.max_output_tokens
        else:
            output = self._hold_output_tokens if high_tokens is None else ceil(high_tokens)
        if lane.max_output_tokens is not None:
            output = min(output, lane.max_output_tokens)
        return quote_most(
            price, context.prompt_tokens * _PROMPT_MARGIN, output, context.service_tier, context.web_searches
        )

    def over_budget(
        self,
        directory: LaneDirectory,
        context: RouteContext,
        account: str,
        rows: Iterable[int],
        high_tokens: Callable[[], Floats | None] = lambda: None,
    ) -> npt.NDArray[np.bool_] | None:
        """Return which lanes are known to have a spent budget, shape (n_lanes,); None: no lane is known to.

        Args:
            directory: Lanes of the account.
            context: The request.
            account: Account that pays.
            rows: Rows of the lanes that can answer it; the others are not looked at.
            high_tokens: Function that returns the tokens which 95% of the lanes' answers stay below, shape (n_lanes,);
                called only if a budget is known to be spent.
        """
        if not self._keeper.knows_of_spent_budgets():
            return None
        longest = high_tokens()
        spent = [
            row
            for row in rows
            if self.is_spent(
                directory.connections[row], context, account, None if longest is None else float(longest[row])
            )
        ]
        if not spent:
            return None
        is_spent = np.zeros(len(directory.connections), dtype=np.bool_)
        is_spent[spent] = True
        return is_spent

    def payers_of(self, connection: LaneConnection, account: str) -> tuple[str, ...]:
        """Return the scopes that pay for some lanes only: the provider key, and the hosted credit of a hosted lane."""
        payer = provider_key_scope(connection.lane.account)
        return (payer,) if connection.hosted_at is None else (hosted_scope(account), payer)

    def is_spent(
        self, connection: LaneConnection, context: RouteContext, account: str, high_tokens: float | None = None
    ) -> bool:
        """Return whether a budget of this lane is known to have too little left; `most` has the arguments."""
        lane = connection.lane
        payer = provider_key_scope(lane.account)
        most = self.most(lane, lane.price, context, high_tokens)
        if connection.hosted_at is None:
            return self._keeper.is_spent(payer, most)
        at_cost = self.most(lane, connection.hosted_at, context, high_tokens)
        return self._keeper.is_spent(payer, at_cost) or self._keeper.is_spent(hosted_scope(account), most)

    def resets_at(self, scope: str) -> datetime:
        """Return the beginning of the scope's next month."""
        return self._keeper.resets_at(scope)

    async def hold(
        self,
        charge_id: str,
        holder: VirtualKeyHolder,
        connection: LaneConnection,
        context: RouteContext,
        price_snapshot_id: str,
        high_tokens: float | None = None,
    ) -> Hold:
        """Reserve for one attempt.

        Args:
            charge_id: Id of the request and number of the attempt.
            holder: Holder of the virtual key that pays.
            connection: Lane of the attempt.
            context: The request.
            price_snapshot_id: Id of the prices, for the ledger.
            high_tokens: Tokens that 95% of the lane's answers stay below; None: unknown.

        Raises:
            NotHeld: One of the budgets has not enough left, or cannot say what it has.
        """
        lane = connection.lane
        own, key = account_scope(holder.account), virtual_key_scope(holder.virtual_key_id)
        payer = provider_key_scope(lane.account)
        is_own = connection.hosted_at is None
        scopes = (own, payer if is_own else hosted_scope(holder.account), key)
        most = self.most(lane, lane.price, context, high_tokens)
        hold = await self._keeper.hold(charge_id, scopes, most, lane.lane_id, price_snapshot_id)
        if connection.hosted_at is not None:
            at_cost = self.most(lane, connection.hosted_at, context, high_tokens)
            try:
                hold.at_cost = await self._keeper.hold(
                    charge_id + AT_COST, (payer,), at_cost, lane.lane_id, price_snapshot_id
                )
            finally:
                if hold.at_cost is not None:
                    hold.at_cost.service_tier = context.service_tier
                else:
                    self._keeper.settle(hold, None)
        return hold

    def settle(self, hold: Hold, connection: LaneConnection, usage: TokenUsage | None, cost: Cost | None) -> None:
        """End a hold, once; later calls do nothing.

        Args:
            hold: Result of `hold`.
            connection: Lane of the attempt.
            usage: Usage of the attempt; None: nothing is charged.
            cost: Cost of this usage for the caller; None: nothing is charged.
        """
        is_estimated = usage is not None and usage.is_estimated
        self._keeper.settle(hold, None if cost is None else cost.total_nusd, is_estimated=is_estimated)
        if hold.at_cost is not None:
            self._keeper.settle(
                hold.at_cost, _at_cost(connection, usage, hold.at_cost.service_tier), is_estimated=is_estimated
            )

    def note_progress(self, hold: Hold, connection: LaneConnection, usage: TokenUsage, cost: Cost) -> None:
        """Write down what a stream has cost so far."""
        self._keeper.progress(hold, cost.total_nusd)
        if hold.at_cost is not None:
            at_cost = _at_cost(connection, usage, hold.at_cost.service_tier)
            if at_cost is not None:
                self._keeper.progress(hold.at_cost, at_cost)


def _at_cost(connection: LaneConnection, usage: TokenUsage | None, service_tier: str | None) -> Nusd | None:
    """Return what the provider of a hosted lane charges the operator; None: nothing."""
    price = connection.hosted_at
    return None if price is None or usage is None else quote_cost(price, usage, service_tier).total_nusd
