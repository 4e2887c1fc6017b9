"""What a request may cost, who pays for it, and whether they still can: between the budgets and the upstream calls."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from router.context import RouteContext
from router.lane import Lane
from router.price_table import quote_most
from serve.lane_directory import LaneConnection, LaneDirectory
from serve.money.budget import Nusd
from serve.money.budget_keeper import BudgetKeeper
from serve.money.hold import Hold
from serve.money.scopes import account_scope, hosted_scope, provider_key_scope, virtual_key_scope
from serve.virtual_keys import VirtualKeyHolder

# Our count of a prompt's tokens is an estimate; providers have been seen to count half as much again.
_PROMPT_MARGIN = 2


class Spending:
    """Holds and settles for requests.

    Args:
        keeper: Of the budgets.
        hold_output_tokens: The longest answer that is reserved for, where a request does not say how long one it wants.
    """

    def __init__(self, keeper: BudgetKeeper, hold_output_tokens: int) -> None:
        self._keeper = keeper
        self._hold_output_tokens = hold_output_tokens

    def most(self, lane: Lane, context: RouteContext) -> Nusd:
        """Return the most that a request is expected to cost on a lane."""
        output = self._hold_output_tokens if context.max_output_tokens is None else context.max_output_tokens
        if lane.max_output_tokens is not None:
            output = min(output, lane.max_output_tokens)
        return quote_most(lane.price, context.prompt_tokens * _PROMPT_MARGIN, output)

    def over_budget(self, directory: LaneDirectory, context: RouteContext, account: str) -> npt.NDArray[np.bool_] | None:
        """Return which lanes are known to have a budget with not enough left, shape (n_lanes,); None: all have enough, for all that is known."""
        if not self._keeper.knows_of_spent_budgets():
            return None
        is_spent = [self.is_spent(connection, context, account) for connection in directory.connections]
        return np.array(is_spent, dtype=np.bool_) if any(is_spent) else None

    def payers_of(self, connection: LaneConnection, account: str) -> tuple[str, ...]:
        """Return the scopes that pay for a lane and not for every other one: the provider key, and the hosted credit where it is hosted."""
        payer = provider_key_scope(connection.lane.account)
        return (payer, hosted_scope(account)) if connection.is_hosted else (payer,)

    def is_spent(self, connection: LaneConnection, context: RouteContext, account: str) -> bool:
        """Return whether a budget of this lane is known to have not enough left."""
        most = self.most(connection.lane, context)
        return any(self._keeper.is_spent(scope, most) for scope in self.payers_of(connection, account))

    def resets_at(self, scope: str) -> datetime:
        """Return when the scope's next month begins."""
        return self._keeper.resets_at(scope)

    async def hold(
        self, charge_id: str, holder: VirtualKeyHolder, connection: LaneConnection, context: RouteContext, price_snapshot_id: str
    ) -> Hold:
        """Reserve for one attempt.

        Raises:
            BudgetSpent: One of the budgets has not enough left.
        """
        lane = connection.lane
        own, key = account_scope(holder.account), virtual_key_scope(holder.virtual_key_id)
        scopes = (own, *self.payers_of(connection, holder.account), key)
        return await self._keeper.hold(charge_id, scopes, self.most(lane, context), lane.lane_id, price_snapshot_id)

    def settle(self, hold: Hold, amount: Nusd | None, *, is_estimated: bool) -> None:
        """End a hold; see `BudgetKeeper.settle`."""
        self._keeper.settle(hold, amount, is_estimated=is_estimated)

    def note_progress(self, hold: Hold, amount: Nusd) -> None:
        """Write down what a stream has cost so far."""
        self._keeper.progress(hold, amount)
