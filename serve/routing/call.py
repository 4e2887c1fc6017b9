"""One admitted request on its way: its caller, its content and the decision on it."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from router.arrays import Rows
from router.context import RouteContext
from router.decision import Decision
from router.lane import Capability
from router.price_table import Cost, TokenUsage, quote_cost
from router.quality_model import Prediction
from serve.dialects.exchange import Exchange
from serve.dialects.inquiry import Inquiry
from serve.dialects.openai.dialect import OPENAI
from serve.dialects.registry import exchange_between, translation_between
from serve.dialects.responses.dialect import RESPONSES
from serve.identity.virtual_keys import VirtualKeyHolder
from serve.lanes.directory import LaneConnection, LaneDirectory
from serve.money.hold import Hold
from serve.money.spending import Spending
from serve.rate_limits.key_limits import KeyAllowance
from serve.routing.request import RoutingRequest

_NONE: frozenset[str] = frozenset()
_CHAT_ONLY = Capability.CHAT_DIALECT | Capability.LOGPROBS | Capability.MULTIPLE_CHOICES
_NO_EFFORT = (None, "none")
_ABOUT_EFFORT = frozenset({"reasoning", "reasoning_effort", "thinking"})
_OTHER_NAMES = {"stop_sequences": "stop"}
"""Names of parameters in other dialects than OpenAI's -> their names there."""
_NOT_SHOWN = frozenset({"model", "stream_options"})
"""Fields that some providers take in another place."""


@dataclass(slots=True, eq=False)  # not frozen, which takes three times as long to make; still, no code changes it
class Call:
    """An admitted request and the decision on it.

    Args:
        request_id: Unique id that the gateway gave it, as in `x-llmdeal-request-id`.
        holder: Holder of the virtual key that the caller used.
        endpoint: Path of the endpoint.
        tags: Tags for reports.
        conversation_id: Hash that is equal for requests of one conversation.
        inquiry: The request in the dialect of the caller.
        routing: The caller's routing wishes.
        prediction: Beliefs of the quality model.
        decision: Decision on it.
        directory: Lanes that the decision's rows refer to.
        spending: Budgets that pay for it.
        allowance: Part of the virtual key's limits that it takes; None: the key has no limits.
        started: Monotonic clock at its arrival, seconds.
        started_at: Time of its arrival.
        tokens_used: Tokens of its attempts so far.
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
        """The version of the bundle that decided."""
        return self.directory.quality_model.version

    @property
    def context(self) -> RouteContext:
        """What the decision saw."""
        return self.inquiry.context

    def listed_rows(self) -> Rows:
        """Return the rows of the lanes that logs and explanations list.

        They are the lanes that were decided on. A request that names its lanes is decided on all lanes of the account;
        if most of these answer only requests that name them, those it did not name are left out.
        """
        if len(self.decision.table) == len(self.directory.choosable):
            return np.arange(len(self.decision.table))
        return np.flatnonzero(~self.decision.exclusions.not_named())

    def connection(self, row: int) -> LaneConnection:
        """Return how to reach the lane in this row."""
        return self.directory.connections[row]

    def dialect(self, row: int) -> str:
        """Return the dialect in which the lane in this row is asked.

        OpenAI's chat completions refuse an effort next to tools, and its Responses take both. So a request with tools
        goes there, unless it has something that only chat completions have.
        """
        inquiry, connection = self.inquiry, self.directory.connections[row]
        spoken = connection.dialect_for(inquiry.dialect)
        quirks = connection.quirks
        if quirks.effort_with_tools is None or spoken != OPENAI.name or RESPONSES.name not in connection.endpoints:
            return spoken
        is_bound = self.context.effort not in _NO_EFFORT or (
            quirks.states_effort_with_tools and self.context.effort is None
        )
        has_chat_fields = bool(self.context.required & _CHAT_ONLY) or self.context.service_tier is not None
        has_tools = bool(self.context.required & Capability.TOOLS)
        return RESPONSES.name if is_bound and has_tools and not has_chat_fields else spoken

    def exchange(self, row: int) -> Exchange:
        """Return the exchange that translates this call for the lane in this row, and the answer back."""
        inquiry, connection = self.inquiry, self.directory.connections[row]
        spoken = self.dialect(row)
        if spoken != connection.dialect_for(inquiry.dialect):
            return translation_between(inquiry.dialect, spoken)
        if inquiry.has_special_tools and spoken == inquiry.dialect and not connection.quirks.takes_special_tools:
            return translation_between(spoken, spoken)
        return exchange_between(inquiry.dialect, spoken)

    def dropped(self, row: int) -> list[str]:
        """Return the names of what the request has and the lane in this row does not get, in alphabetical order."""
        inquiry, connection = self.inquiry, self.directory.connections[row]
        body, quirks, spoken = inquiry.body, connection.quirks, self.dialect(row)
        if spoken == inquiry.dialect:
            names = body.keys() & (quirks.dropped_parameters | quirks.unknown_fields.get(spoken, _NONE))
        else:
            refused = connection.lane.refused_parameters
            names = {*(body.keys() & refused), *inquiry.needs.hints, *inquiry.needs.unknown}
            names |= {name for name, other in _OTHER_NAMES.items() if other in refused and name in body}
        is_rewritten = spoken != inquiry.dialect or spoken == OPENAI.name
        if quirks.refused_with_thinking and is_rewritten and self.context.effort not in _NO_EFFORT:
            names |= body.keys() & quirks.refused_with_thinking
        if quirks.effort_with_tools is not None and spoken == OPENAI.name and self.context.effort not in _NO_EFFORT:
            names |= body.keys() & _ABOUT_EFFORT if body.get("tools") else _NONE
        return sorted(name for name in names if body.get(name, name) is not None and name not in _NOT_SHOWN)

    def tokens_counted(self, row: int) -> float:
        """Return the tokens that the provider of the lane in this row counts against its limit for this call."""
        expected = float(self.decision.expectation.completion_tokens[row])
        return self.directory.health.tokens_counted(
            row, self.context.prompt_tokens, expected, self.context.max_output_tokens
        )

    def high_tokens(self, row: int) -> float | None:
        """Return the tokens that 95% of the answers of the lane in this row stay below; None: unknown."""
        high = self.decision.expectation.high_tokens
        return None if high is None else float(high[row])

    async def hold(self, row: int, number: int) -> Hold:
        """Reserve for an attempt on the lane in this row.

        Raises:
            NotHeld: A budget has too little left, or its database is away.
        """
        charge_id = f"{self.request_id}/{number}"
        return await self.spending.hold(
            charge_id,
            self.holder,
            self.connection(row),
            self.context,
            self.directory.price_snapshot_id,
            self.high_tokens(row),
        )

    def cost(self, row: int, usage: TokenUsage) -> Cost:
        """Return what these tokens cost on the lane in this row, at the price that the request was decided on."""
        return quote_cost(self.decision.table.lanes[row].price, usage, self.context.service_tier)
