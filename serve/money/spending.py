"""What a request may cost, who pays for it, and whether they still can: between the budgets and the upstream calls."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from router.context import RouteContext
from router.lane import Lane
from router.lane_table import LaneTable
from router.price_table import quote_most
from serve.money.budget import Nusd
from serve.money.budget_keeper import BudgetKeeper, Hold
from serve.money.scopes import account_scope, provider_key_scope, virtual_key_scope
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

    def over_budget(self, table: LaneTable, context: RouteContext) -> npt.NDArray[np.bool_] | None:
        """Return which lanes' provider keys are known to have not enough left, shape (n_lanes,); None: all have, for all that is known."""
        if not self._keeper.knows_of_spent_budgets():
            return None
        is_spent = [self._keeper.is_spent(self.payer_of(lane), self.most(lane, context)) for lane in table.lanes]
        return np.array(is_spent, dtype=np.bool_) if any(is_spent) else None

    def payer_of(self, lane: Lane) -> str:
        """Return the scope of the provider key that pays for a lane."""
        return provider_key_scope(lane.account)

    def resets_at(self, scope: str) -> datetime:
        """Return when the scope's next month begins."""
        return self._keeper.resets_at(scope)

    async def hold(
        self, charge_id: str, holder: VirtualKeyHolder, lane: Lane, context: RouteContext, price_snapshot_id: str
    ) -> Hold:
        """Reserve for one attempt.

        Raises:
            BudgetSpent: One of the budgets has not enough left.
        """
        scopes = (account_scope(holder.account), self.payer_of(lane), virtual_key_scope(holder.virtual_key_id))
        return await self._keeper.hold(charge_id, scopes, self.most(lane, context), lane.lane_id, price_snapshot_id)

    def settle(self, hold: Hold, amount: Nusd | None, *, is_estimated: bool) -> None:
        """End a hold; see `BudgetKeeper.settle`."""
        self._keeper.settle(hold, amount, is_estimated=is_estimated)

    def note_progress(self, hold: Hold, amount: Nusd) -> None:
        """Write down what a stream has cost so far."""
        self._keeper.progress(hold, amount)
