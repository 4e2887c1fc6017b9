"""What a request may cost, which scopes pay for it, and whether their budgets are spent."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

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
        hold_output_tokens: Length of the answer to reserve for, in tokens, if the request sets no limit.
    """

    def __init__(self, keeper: BudgetKeeper, hold_output_tokens: int) -> None:
        self._keeper = keeper
        self._hold_output_tokens = hold_output_tokens

    def most(self, lane: Lane, price: Price, context: RouteContext) -> Nusd:
        """Return the most that a request is expected to cost on a lane at this price."""
        output = self._hold_output_tokens if context.max_output_tokens is None else context.max_output_tokens
        if lane.max_output_tokens is not None:
            output = min(output, lane.max_output_tokens)
        return quote_most(
            price, context.prompt_tokens * _PROMPT_MARGIN, output, context.service_tier, context.web_searches
        )

    def over_budget(
        self, directory: LaneDirectory, context: RouteContext, account: str
    ) -> npt.NDArray[np.bool_] | None:
        """Return which lanes are known to have a spent budget, shape (n_lanes,); None: no lane is known to."""
        if not self._keeper.knows_of_spent_budgets():
            return None
        is_spent = [self.is_spent(connection, context, account) for connection in directory.connections]
        return np.array(is_spent, dtype=np.bool_) if any(is_spent) else None

    def payers_of(self, connection: LaneConnection, account: str) -> tuple[str, ...]:
        """Return the scopes that pay for some lanes only: the provider key, and the hosted credit of a hosted lane."""
        payer = provider_key_scope(connection.lane.account)
        return (payer,) if connection.hosted_at is None else (hosted_scope(account), payer)

    def is_spent(self, connection: LaneConnection, context: RouteContext, account: str) -> bool:
        """Return whether a budget of this lane is known to have too little left."""
        lane = connection.lane
        payer = provider_key_scope(lane.account)
        if connection.hosted_at is None:
            return self._keeper.is_spent(payer, self.most(lane, lane.price, context))
        return self._keeper.is_spent(payer, self.most(lane, connection.hosted_at, context)) or self._keeper.is_spent(
            hosted_scope(account), self.most(lane, lane.price, context)
        )

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
    ) -> Hold:
        """Reserve for one attempt.

        Raises:
            NotHeld: One of the budgets has not enough left, or cannot say what it has.
        """
        lane = connection.lane
        own, key = account_scope(holder.account), virtual_key_scope(holder.virtual_key_id)
        payer = provider_key_scope(lane.account)
        is_own = connection.hosted_at is None
        scopes = (own, payer if is_own else hosted_scope(holder.account), key)
        most = self.most(lane, lane.price, context)
        hold = await self._keeper.hold(charge_id, scopes, most, lane.lane_id, price_snapshot_id)
        if connection.hosted_at is not None:
            at_cost = self.most(lane, connection.hosted_at, context)
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
