"""One admitted request on its way: who asks, what was asked, what was decided."""

from dataclasses import dataclass
from datetime import datetime

from router.context import RouteContext
from router.decision import Decision
from router.price_table import Cost, TokenUsage, quote_cost
from router.quality_model import Prediction
from serve.dialects.exchange import Exchange
from serve.dialects.inquiry import Inquiry
from serve.dialects.registry import exchange_between
from serve.identity.virtual_keys import VirtualKeyHolder
from serve.lanes.directory import LaneConnection, LaneDirectory
from serve.money.hold import Hold
from serve.money.spending import Spending
from serve.rate_limits.key_limits import KeyAllowance
from serve.routing.request import RoutingRequest


@dataclass(slots=True, eq=False)  # frozen would be three times as slow to make; nobody changes it all the same
class Call:
    """An admitted request and the decision on it.

    Args:
        request_id: Ours, unique, as in `x-llmdeal-request-id`.
        holder: Whose virtual key.
        endpoint: The path.
        tags: For reports.
        conversation_id: Hash that is equal for requests of one conversation.
        inquiry: What was asked.
        routing: How the caller wanted to be routed.
        prediction: What the quality model believed.
        decision: What was decided.
        directory: The lanes that the decision's rows refer to.
        spending: Who pays.
        allowance: What it took of its key's limits; None: the key has none.
        started: Clock reading (monotonic seconds) when the request came in.
        started_at: The same moment on the wall.
        tokens_used: By its attempts so far.
    """

    request_id: str
    holder: VirtualKeyHolder
    endpoint: str
    tags: tuple[str, ...]
    conversation_id: str
    inquiry: Inquiry
    routing: RoutingRequest
    prediction: Prediction
    decision: Decision
    directory: LaneDirectory
    spending: Spending
    allowance: KeyAllowance | None
    started: float
    started_at: datetime
    tokens_used: int = 0

    @property
    def is_streaming(self) -> bool:
        """Whether the caller wants a stream."""
        return self.inquiry.is_streaming

    @property
    def router_version(self) -> str:
        """Of the bundle that decided."""
        return self.directory.quality_model.version

    @property
    def context(self) -> RouteContext:
        """What the decision saw."""
        return self.inquiry.context

    def connection(self, row: int) -> LaneConnection:
        """Return how to reach the lane in this row."""
        return self.directory.connections[row]

    def exchange(self, row: int) -> Exchange:
        """Return what carries this call to the lane in this row, and its answer back."""
        caller = self.inquiry.dialect
        return exchange_between(caller, self.directory.connections[row].dialect_for(caller))

    def tokens_counted(self, row: int) -> float:
        """Return the tokens that the provider of the lane in this row will hold against its limit for this call."""
        expected = float(self.decision.expectation.completion_tokens[row])
        return self.directory.health.tokens_counted(
            row, self.context.prompt_tokens, expected, self.context.max_output_tokens
        )

    async def hold(self, row: int, number: int) -> Hold:
        """Reserve for an attempt on the lane in this row.

        Raises:
            NotHeld: A budget has not enough left, or cannot say what it has.
        """
        charge_id = f"{self.request_id}/{number}"
        return await self.spending.hold(
            charge_id, self.holder, self.connection(row), self.context, self.directory.price_snapshot_id
        )

    def cost(self, row: int, usage: TokenUsage) -> Cost:
        """Return what these tokens cost on the lane in this row."""
        return quote_cost(self.decision.table.lanes[row].price, usage)
