"""Routes a request to the lanes of this moment. Only this service asks the quality model about requests."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from router.arrays import Floats
from router.bar import BarUnsolvedError, SolvedBars
from router.context import Constraints, Preferences, RouteContext
from router.decision import Decision, decide
from router.errors import NoEligibleLaneError
from router.expectation import LaneState, believe_of_high_tokens
from router.lane_table import LaneTable
from router.policies.base import Policy
from router.quality_model import Prediction
from router.reason import EXPLORED
from serve.errors import (
    BudgetSpentError,
    ForbiddenError,
    NoLaneError,
    RegionUnavailableError,
    RequestError,
    UnfitRequestError,
    budget_spent_error,
)
from serve.identity.virtual_keys import VirtualKeyHolder
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneDirectory
from serve.lanes.refused_parameters import RefusedParameters
from serve.money.spending import Spending
from serve.routing.bar_solver import BarSolver
from serve.routing.call import Call
from serve.routing.canary import Canary
from serve.routing.exploration.explorer import Explorer
from serve.routing.prediction_queue import PredictionQueue
from serve.routing.request import RoutingRequest

_RESTS = frozenset({"cooldown", "rate_limit"})
_PARAM_OF = {
    "provider": "provider",
    "parameters": "provider.require_parameters",
    "data_collection": "provider.data_collection",
    "zdr": "provider.zdr",
    "max_price": "provider.max_price",
    "max_cost": "route.max_cost",
    "max_latency": "route.max_latency_ms",
    "output_length": "max_tokens",
}
"""Reason that excluded every lane -> the field of the request that asked for it."""


class ShadowPort(Protocol):
    """Takes decided requests, and never makes them wait."""

    def offer(self, call: Call, state: LaneState, constraints: Constraints) -> None:
        """Take or drop a request, with the state and the constraints that it was decided on."""
        ...


@dataclass(slots=True)
class RoutingService:
    """Gathers all that a decision needs, and decides.

    Args:
        directories: Lanes of every account.
        default_policy: Policy of requests that ask for none.
        rng: Random generator that policies draw with.
        spending: Budgets that pay for requests.
        explorer: Tries lanes that are not the best one; None: exploration is off.
        canary: Bundle that decides a share of the conversations; None: the champion decides all.
        shadow: Bundle that is asked, but whose answers are not used; None: there is none.
        efforts: Efforts of reasoning that the operator lets the router set; None: all.
        refused_parameters: Memory of the parameters that models refuse; None: there is none.
    """

    directories: LaneDirectories
    default_policy: Policy
    rng: np.random.Generator
    spending: Spending
    explorer: Explorer | None = None
    canary: Canary | None = None
    shadow: ShadowPort | None = None
    efforts: frozenset[str] | None = None
    refused_parameters: RefusedParameters | None = None
    _predictions: PredictionQueue = field(default_factory=PredictionQueue, init=False)
    _bars: BarSolver = field(default_factory=BarSolver, init=False)

    @property
    def directory(self) -> LaneDirectory:
        """The lanes of the account that runs the gateway."""
        return self.directories.operators

    def use_policy(self, policy: Policy) -> None:
        """Route requests that ask for no policy by this one from now on."""
        self.default_policy = policy

    def use_canary(self, canary: Canary | None) -> None:
        """Let a bundle decide a share of the conversations; None: the champion decides all of them."""
        self.canary = canary

    def use_shadow(self, shadow: ShadowPort | None) -> None:
        """Ask a bundle about the requests, without using its answers; None: no bundle is asked."""
        self.shadow = shadow

    async def route(
        self,
        context: RouteContext,
        request: RoutingRequest,
        conversation_id: str,
        directory: LaneDirectory,
        holder: VirtualKeyHolder,
        is_rehearsed: bool = False,
    ) -> tuple[Decision, Prediction]:
        """Return the decision on a request, and the prediction behind it.

        Args:
            context: The request.
            request: The caller's routing wishes.
            conversation_id: Id of the conversation, by which prompt caches and lanes that can read its reasoning are
                looked up.
            directory: Lanes of the caller's account.
            holder: Holder of the virtual key that the caller used.
            is_rehearsed: Whether no answer will follow; exploration then costs nothing.

        Raises:
            RegionUnavailableError: The region alone excludes every lane.
            UnfitRequestError: What the request asks for excludes every lane; the message names the reason for each.
            NoLaneError: The same, but a lane rests, so that waiting may help.
            BudgetSpentError: Only lanes with a spent budget are left.
            ForbiddenError: Only lanes that the virtual key may not use are left.
        """
        prediction, reason = await self._predictions.predict(directory.quality_model, context)
        state, constraints = self.situation(
            context,
            request,
            conversation_id,
            directory,
            holder,
            lambda: believe_of_high_tokens(directory.table, prediction),
        )
        if directory.quality_shifts or directory.account_coefficients:
            state = directory.with_shifts(state, prediction.quality)
        policy = request.policy
        if self.explorer is not None and request.may_explore and reason is None:
            policy = self.explorer.around(policy)
        table, bar = directory.open_to(constraints)
        state = state.of_first(len(table))
        while True:
            try:
                decision = self._decided(
                    table, context, prediction, state, policy, constraints, request.preferences, bar.solved()
                )
                break
            except NoEligibleLaneError as error:
                raise self._no_lane(error, context, request, directory, holder) from None
            except BarUnsolvedError as unsolved:
                await self._bars.solve(unsolved)
        if self.explorer is not None and decision.reason is EXPLORED and not is_rehearsed:
            self.explorer.note(decision)
        if reason is not None:
            decision = replace(decision, reason=reason)
        return decision, prediction

    def situation(
        self,
        context: RouteContext,
        request: RoutingRequest,
        conversation_id: str,
        directory: LaneDirectory,
        holder: VirtualKeyHolder,
        high_tokens: Callable[[], Floats | None],
    ) -> tuple[LaneState, Constraints]:
        """Return the state of the lanes at this moment, and all constraints. Both are the same for every bundle.

        The arguments are those of `route`, and the one of `Spending.over_budget`.
        """
        state = directory.health.state()
        cached_tokens = directory.warm_caches.expected_tokens(conversation_id, context.prompt_tokens)
        if cached_tokens is not None:
            state = replace(state, cached_tokens=cached_tokens)
        constraints = request.constraints
        if constraints.pinned_lanes is None:  # a pin is never overridden
            readers = directory.reasoning_affinity.readers(conversation_id, context.required)
            constraints = constraints if readers is None else replace(constraints, readers=readers)
            if self.efforts is not None and directory.table.efforts is not None:
                asked = constraints.efforts
                allowed = self.efforts if asked is None else self.efforts & asked
                constraints = replace(constraints, efforts=allowed)
        if holder.lanes:
            constraints = replace(constraints, permitted_lanes=directory.permitted(holder.lanes))
        if self.refused_parameters is not None and constraints.pinned_lanes is None:
            refuses = self.refused_parameters.mask(directory.table, request.given_parameters)
            state = state if refuses is None else replace(state, refuses_parameters=refuses)
        rows = directory.rows_open_to(constraints)
        is_over_budget = self.spending.over_budget(directory, context, holder.account, rows, high_tokens)
        if is_over_budget is not None:
            state = replace(state, is_over_budget=is_over_budget)
        return state, constraints

    def _decided(
        self,
        table: LaneTable,
        context: RouteContext,
        prediction: Prediction,
        state: LaneState,
        policy: Policy,
        constraints: Constraints,
        preferences: Preferences,
        bar: SolvedBars,
    ) -> Decision:
        """Return the decision. A lane that lately refused a parameter of the request answers only if no other can."""
        if state.refuses_parameters is not None:
            with suppress(NoEligibleLaneError):
                return decide(table, context, prediction, state, policy, self.rng, constraints, preferences, bar)
            state = replace(state, refuses_parameters=None)
        return decide(table, context, prediction, state, policy, self.rng, constraints, preferences, bar)

    def _no_lane(
        self,
        error: NoEligibleLaneError,
        context: RouteContext,
        request: RoutingRequest,
        directory: LaneDirectory,
        holder: VirtualKeyHolder,
    ) -> RequestError:
        reasons = set(error.excluded.values()) - {"pin", "models", "effort"}
        if reasons == {"region"}:
            return RegionUnavailableError(
                f"no lane runs in the region {request.constraints.region!r}: {error}", param="route.region"
            )
        if reasons == {"virtual_key"}:
            return ForbiddenError(f"the virtual key {holder.virtual_key_id!r} may use none of these lanes: {error}")
        if "budget" in reasons and not reasons & _RESTS:
            return self._budget_spent(error, directory, holder)
        if not reasons & _RESTS:  # waiting changes nothing
            only_reason = next(iter(reasons)) if len(reasons) == 1 else ""
            return UnfitRequestError(str(error), param=_PARAM_OF.get(only_reason))
        rest_s = directory.health.seconds_until_any(context.prompt_tokens)
        code = "all_lanes_cooling" if reasons <= _RESTS else None
        return NoLaneError(str(error), code=code, retry_after_s=max(int(rest_s or 0) + 1, 1))

    def _budget_spent(
        self, error: NoEligibleLaneError, directory: LaneDirectory, holder: VirtualKeyHolder
    ) -> BudgetSpentError:
        spent = [directory.table.index_of[lane] for lane, why in error.excluded.items() if why == "budget"]
        payers = {
            scope for row in spent for scope in self.spending.payers_of(directory.connections[row], holder.account)
        }
        scope = min(sorted(payers), key=self.spending.resets_at)
        return budget_spent_error(scope, self.spending.resets_at(scope))
