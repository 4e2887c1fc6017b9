"""Reads a caller's routing wishes and turns them into constraints, preferences and a policy.

The wishes are the fields `model`, `models`, `provider` and `route`, and the region header.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

from router.context import NO_CONSTRAINTS, NO_PREFERENCES, Constraints, Preferences
from router.effort import OTHER_EFFORT, split_effort
from router.lane import Lane, Region
from router.lane_table import LaneTable
from router.policies.base import Policy
from router.policies.cheapest import Cheapest
from router.policies.kind import PolicyKind
from router.policies.lowest_latency import LowestLatency
from router.policies.pinned import Pinned
from router.policies.registry import POLICIES
from serve.dialects.routing_fields import ProviderPreferences, RouteOptions, RoutingFields
from serve.errors import BadRequestError, UnknownModelError

SMART_ROUTE = "smart-route"
SUFFIX_POLICIES: dict[str, Policy] = {":floor": Cheapest(), ":nitro": LowestLatency()}
_SORT_POLICIES: dict[str, Policy] = {"price": Cheapest(), "latency": LowestLatency(), "throughput": LowestLatency()}
_POLICY_OF_FIELD = {
    field: kind for field in RouteOptions.__struct_fields__ for kind in POLICIES.values() if kind.route_field == field
}
_REGIONS = ("eu", "us")
_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class RoutingRequest:
    """The routing wishes of one request.

    Args:
        constraints: Hard limits; they exclude lanes.
        preferences: Soft wishes; they rank lanes.
        policy: Policy that ranks the lanes.
        may_fall_back: Whether another lane may answer when the drawn one fails.
        is_explained: Whether the response carries the whole decision.
        may_explore: Whether a lane that is not the best one may be tried; False when the caller asked for a lane or for
            an order.
        given_parameters: Names of all fields of the body.
    """

    constraints: Constraints
    preferences: Preferences
    policy: Policy
    may_fall_back: bool = True
    is_explained: bool = False
    may_explore: bool = True
    given_parameters: Collection[str] = ()


def routing_request(
    request: RoutingFields,
    table: LaneTable,
    default_policy: Policy,
    region_header: str | None = None,
    explain_header: bool = False,
    given_parameters: Collection[str] = (),
    stated_effort: str | None = None,
) -> RoutingRequest:
    """Read the caller's wishes and check them against the lanes that exist.

    Args:
        request: Fields of the request that are meant for the gateway.
        table: The lanes.
        default_policy: Policy of `smart-route` when the caller sets no bar.
        region_header: Value of the region header; None: the request has none.
        explain_header: Whether a header asks for the explanation.
        given_parameters: Names of all fields of the body.
        stated_effort: Effort of reasoning that the request states; None: it says nothing about reasoning.

    Raises:
        UnknownModelError: `model` or one of `models` names no lane.
        BadRequestError: Values contradict each other, or are unknown.
    """
    route = request.route
    is_explained = explain_header or (route is not None and route.explain)
    if request.model == SMART_ROUTE and not (route or request.provider or request.models or region_header):
        return RoutingRequest(
            NO_CONSTRAINTS, NO_PREFERENCES, default_policy, is_explained=is_explained, given_parameters=given_parameters
        )
    name, suffix_policy = split_suffix(request.model, table)
    pinned, lane_order = _pinned_lanes(name, request.models, table, stated_effort)
    provider = request.provider or ProviderPreferences()
    route = route or RouteOptions()
    policy = suffix_policy or _policy(pinned is not None, provider, route, default_policy)
    allowed = _pool(request.models, table) if pinned is None and request.models else None
    constraints = _constraints(provider, route, _region(route, region_header), pinned, allowed)
    if provider.require_parameters:
        constraints = replace(constraints, required_parameters=frozenset(given_parameters))
    preferences = Preferences(
        quality_bar=route.quality,
        quality_of_best=route.quality_of_best,
        willingness_to_pay_usd=route.willingness_to_pay,
        preferred_max_latency_ms=None
        if provider.preferred_max_latency is None
        else provider.preferred_max_latency * 1_000,
        preferred_min_tokens_per_s=provider.preferred_min_throughput,
        preferred_providers=tuple(provider.order),
        lane_order=lane_order,
    )
    is_definite = pinned is not None or suffix_policy is not None or provider.sort is not None
    may_explore = route.explore and not is_definite
    return RoutingRequest(
        constraints, preferences, policy, provider.allow_fallbacks, is_explained, may_explore, given_parameters
    )


def split_suffix(name: str, table: LaneTable) -> tuple[str, Policy | None]:
    """Return the name without `:floor` or `:nitro`, and the suffix's policy. A colon in a lane's name is no suffix."""
    if table.find(name):
        return name, None
    stem, colon, word = name.rpartition(":")
    policy = SUFFIX_POLICIES.get(colon + word)
    return (name, None) if policy is None else (stem, policy)


def _pinned_lanes(
    name: str, models: list[str] | None, table: LaneTable, stated_effort: str | None
) -> tuple[frozenset[str] | None, dict[str, int] | None]:
    """Return the pinned lanes, and their order if there are several names.

    A pin on a model leaves the effort to the provider, or to the request if it states one.
    """
    if name == SMART_ROUTE:
        return None, None
    order: dict[str, int] = {}
    for place, wanted in enumerate([name, *(models or [])]):
        param = "model" if place == 0 else "models"
        rows = _rows_named(wanted, table, param)
        if stated_effort is not None:
            _check_effort(wanted, table.lanes[rows[0]], stated_effort, param)
            # Which of them answers at the stated effort depends on the bundle, and a canary may know another one.
            rows = _at_all_efforts(tuple(table.index_of.get(table.lanes[row].base_id, row) for row in rows), table)
        for row in rows:
            order.setdefault(table.lane_ids[row], place)
    return frozenset(order), order if models else None


def _pool(names: list[str], table: LaneTable) -> frozenset[str]:
    """Return the ids of the lanes of a pool. A model's name stands for the model at every effort."""
    rows = [row for name in names for row in _at_all_efforts(_rows_named(name, table, "models"), table)]
    return frozenset(table.lane_ids[row] for row in rows)


def _rows_named(name: str, table: LaneTable, param: str) -> tuple[int, ...]:
    rows = table.find(name)
    if not rows:
        raise unknown_model(name, table, param)
    return rows


def _at_all_efforts(rows: tuple[int, ...], table: LaneTable) -> tuple[int, ...]:
    return rows if table.efforts is None else table.efforts.with_siblings(rows)


def _check_effort(name: str, lane: Lane, stated_effort: str, param: str) -> None:
    """Refuse a pin on one effort in a request that states another one."""
    if lane.effort is not None and lane.effort != stated_effort:
        stated = "another one" if stated_effort == OTHER_EFFORT else repr(stated_effort)
        raise BadRequestError(
            f"{param} names {name!r}, which reasons at the effort {lane.effort!r}, and the request states {stated}. "
            "Send one of them.",
            param=param,
        )


def unknown_model(name: str, table: LaneTable, param: str, remark: str = "") -> UnknownModelError:
    """Return the error of a name that no lane has, with the names that are close to it.

    Args:
        name: The name.
        table: The lanes.
        param: Field of the request that has it.
        remark: Sentence before the advice; empty: none.
    """
    shown = name if len(name) <= _LONGEST_SHOWN else name[:_LONGEST_SHOWN] + "…"
    stem, effort = split_effort(name)
    if effort is not None and table.find(stem):
        remark = f"The bundle knows nothing of {stem!r} at the effort {effort!r}."
        advice = f"Ask for {stem!r} and send the effort in the request."
    else:
        close = table.close_names(name)
        advice = (
            f"Did you mean {' or '.join(map(repr, close))}?"
            if close
            else f"Use {SMART_ROUTE!r}, 'vendor/model' or 'provider:vendor/model'."
        )
    words = (f"No lane is called {shown!r}.", remark, advice, "GET /v1/models lists all models.")
    return UnknownModelError(" ".join(word for word in words if word), param=param)


def _policy(is_pinned: bool, provider: ProviderPreferences, route: RouteOptions, default_policy: Policy) -> Policy:
    if provider.sort is not None:
        return _SORT_POLICIES[provider.sort]
    if is_pinned:
        return Pinned()
    kinds = policies_asked_by(route)
    if len(kinds) > 1:
        fields = [f"route.{kind.route_field}" for kind in kinds]
        raise BadRequestError(f"{' and '.join(fields)} ask for different policies. Send one of them.", param=fields[-1])
    return kinds[0].policy() if kinds else default_policy


def policies_asked_by(route: RouteOptions) -> list[PolicyKind]:
    """Return the policies that a `route` object asks for by setting their fields; a request may ask for at most one."""
    return [kind for field, kind in _POLICY_OF_FIELD.items() if getattr(route, field) is not None]


def _region(route: RouteOptions, header: str | None) -> Region | None:
    if header is None:
        return route.region
    if header not in _REGIONS:
        raise BadRequestError(
            f"unknown region {header!r} in the header x-llmdeal-region: use 'eu' or 'us'", param="x-llmdeal-region"
        )
    if route.region is not None and route.region != header:
        raise BadRequestError(
            f"the header x-llmdeal-region says {header!r} and route.region says {route.region!r}: "
            "send one, or the same",
            param="route.region",
        )
    return cast("Region", header)


def _constraints(
    provider: ProviderPreferences,
    route: RouteOptions,
    region: Region | None,
    pinned: frozenset[str] | None,
    allowed: frozenset[str] | None,
) -> Constraints:
    ceilings = provider.max_price
    return Constraints(
        pinned_lanes=pinned,
        only_providers=frozenset(provider.only),
        ignored_providers=frozenset(provider.ignore),
        allowed_lanes=allowed,
        region=region,
        denies_training=provider.data_collection == "deny",
        requires_zero_retention=provider.zdr,
        max_input_usd_per_mtok=_decimal(ceilings.prompt if ceilings else None),
        max_output_usd_per_mtok=_decimal(ceilings.completion if ceilings else None),
        max_request_usd=_decimal(ceilings.request if ceilings else None),
        max_cost_usd=route.max_cost,
        max_latency_ms=route.max_latency_ms,
        # A pin names the effort itself.
        efforts=None if route.efforts is None or pinned is not None else frozenset(route.efforts),
    )


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))
