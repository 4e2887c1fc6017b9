"""The lanes of one account: the table that a decision sees, and how to reach each lane, which a decision never sees."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np

from router.account_correction import LaneCoefficients
from router.arrays import Float32s, Floats
from router.bar import Bar
from router.context import Constraints
from router.expectation import LaneState
from router.lane import Lane
from router.lane_table import LaneTable
from router.price_table import Price
from router.quality_model import QualityModel
from serve.dialects.quirks import Quirks
from serve.lanes.hosted_health import AnyLaneHealth
from serve.lanes.reasoning_affinity import ReasoningAffinity
from serve.lanes.warm_caches import WarmCaches
from serve.upstream.destination import Destination
from serve.upstream.effort_terms import NO_EFFORTS, EffortTerms
from serve.upstream.signing.signer import Signer
from serve.upstream.transport import Deadlines, UpstreamTransport
from serve.upstream.upstream_terms import NO_TERMS, UpstreamTerms


@dataclass(frozen=True, slots=True)
class LaneConnection:
    """How to reach a lane.

    Args:
        lane: The lane.
        endpoints: Dialect that the lane speaks -> its URL for whole answers and its URL for streams. The first dialect
            is used for callers of a dialect that the lane does not speak.
        headers: Headers of every request, with the provider key unless requests are signed; never printed.
        quirks: Differences between the provider and its dialect.
        transport: Client that carries the bytes.
        deadlines: Limits of one call.
        terms: Limits and prompt cache of the provider.
        signer: Signer that adds credentials to each request; None: the headers have them.
        sibling: Function that makes the connection of another model of the same account, by its id; None: the price of
            unlisted models is not known there.
        hosted_at: Price that the provider charges the operator, if the lane runs on the operator's key for another
            account; None: it runs on the account's own key.
        effort_terms: Efforts of reasoning that the lane's model takes at the provider.
    """

    lane: Lane
    endpoints: Mapping[str, tuple[str, str]]
    headers: Mapping[str, str] = field(repr=False)
    quirks: Quirks
    transport: UpstreamTransport
    deadlines: Deadlines
    terms: UpstreamTerms = NO_TERMS
    signer: Signer | None = None
    hosted_at: Price | None = None
    effort_terms: EffortTerms = NO_EFFORTS
    sibling: "Callable[[str], LaneConnection] | None" = field(default=None, repr=False, compare=False)
    _destinations: dict[tuple[str, bool], Destination] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def destination(self, dialect: str, *, is_streaming: bool) -> Destination:
        """Return the URL and headers for requests of a dialect; made once, and kept as long as the connection."""
        destination = self._destinations.get((dialect, is_streaming))
        if destination is None:
            destination = Destination(self.endpoints[dialect][is_streaming], self.headers)
            self._destinations[dialect, is_streaming] = destination
        return destination

    def dialect_for(self, caller: str) -> str:
        """Return the dialect in which this lane is asked for a caller: the caller's own, if the lane speaks it."""
        return caller if caller in self.endpoints else next(iter(self.endpoints))


@dataclass(frozen=True, slots=True, eq=False)
class LaneDirectory:
    """All lanes of an account at one moment.

    It is replaced as a whole when prices, lanes or the bundle change; requests under way keep the one they began with.

    Args:
        table: The lanes as columns, arranged for the quality model.
        choosable: Table of the lanes that a policy may choose when the caller names none. They are the first rows of
            `table`, so that a row has one number in both, and other lanes take no time.
        connections: Connections of the lanes, in the rows' order.
        health: Cool-downs, limits and speeds.
        warm_caches: Conversations in the lanes' prompt caches.
        reasoning_affinity: Owners of the reasoning that conversations carry.
        price_snapshot_id: Id of the prices in the lanes.
        bar: Solver of relative bars for the choosable lanes at these prices.
        pin_bar: Solver of relative bars for all lanes: for requests that name theirs.
        quality_model: Quality model of the same bundle as the table, so that a request never sees the predictions of
            one bundle in the columns of another.
        permissions: Cache: patterns of virtual keys -> lanes that match them.
        quality_shifts: Version of a bundle -> what was learned of the lanes since it was trained, shape (n_lanes,),
            added to the log odds of a good answer. A version of which nothing was learned is absent. The arrays are
            replaced as a whole, never written into.
        account_coefficients: Version of a bundle -> the account's own correction; a version without one is absent.
    """

    table: LaneTable
    choosable: LaneTable
    connections: tuple[LaneConnection, ...]
    health: AnyLaneHealth
    warm_caches: WarmCaches
    reasoning_affinity: ReasoningAffinity
    price_snapshot_id: str
    bar: Bar
    pin_bar: Bar
    quality_model: QualityModel
    permissions: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)
    quality_shifts: dict[str, Floats] = field(default_factory=dict)
    account_coefficients: dict[str, LaneCoefficients] = field(default_factory=dict)

    @property
    def router_version(self) -> str:
        """Version of the bundle that decides on these lanes; it is logged with every decision."""
        return self.quality_model.version

    def open_to(self, constraints: Constraints) -> tuple[LaneTable, Bar]:
        """Return the lanes that a request is decided on, and their bar.

        They are the choosable ones, unless the request names its lanes, or only others can read the reasoning that its
        conversation carries.
        """
        if self.choosable is self.table or (constraints.pinned_lanes is None and constraints.allowed_lanes is None):
            readers = constraints.readers
            if readers is None or not readers.isdisjoint(self.choosable.index_of):
                return self.choosable, self.bar
        return self.table, self.pin_bar

    def rows_open_to(self, constraints: Constraints) -> Iterable[int]:
        """Return the rows of the lanes that can answer a request: the choosable ones, or those that it names."""
        table, _ = self.open_to(constraints)
        wished = (constraints.pinned_lanes, constraints.allowed_lanes, constraints.readers)
        named = next((lane_ids for lane_ids in wished if lane_ids is not None), None)
        if table is self.choosable or named is None:
            return range(len(table))
        return [table.index_of[lane_id] for lane_id in named if lane_id in table.index_of]

    def with_shifts(self, state: LaneState, quality: Float32s) -> LaneState:
        """Return a state with what was learned online added for one prompt.

        Args:
            state: State of the lanes.
            quality: P(good answer) of the trained models for this prompt, shape (n_trained,).
        """
        version = self.quality_model.version
        shift, coefficients = self.quality_shifts.get(version), self.account_coefficients.get(version)
        account_shift = None if coefficients is None else coefficients.shift(quality)
        return replace(state, quality_shift=shift, account_shift=account_shift)

    def permitted(self, patterns: tuple[str, ...]) -> frozenset[str]:
        """Return the ids of the lanes whose id, vendor model or provider matches at least one pattern.

        Args:
            patterns: Patterns like those of file names: `anthropic/*` (the vendor), `groq` (the provider),
                `openai@work/gpt-5-mini` (one lane, at every effort), `*:low` (one effort).
        """
        lane_ids = self.permissions.get(patterns)
        if lane_ids is None:
            lanes = [lane for lane in self.table.lanes if any(_matches(lane, pattern) for pattern in patterns)]
            lane_ids = self.permissions[patterns] = frozenset(lane.lane_id for lane in lanes)
        return lane_ids

    def adopt(self, former: "LaneDirectory") -> None:
        """Take over what a former directory of the same account knows of the lanes that are in both."""
        rows = [
            (self.table.index_of[lane_id], row)
            for lane_id, row in former.table.index_of.items()
            if lane_id in self.table.index_of
        ]
        self.health.own.adopt(former.health.own, rows)
        for version, former_shift in former.quality_shifts.items():
            shift = np.zeros(len(self.table))
            for row, former_row in rows:
                shift[row] = former_shift[former_row]
            self.quality_shifts[version] = shift
        self.warm_caches.adopt(former.warm_caches, {old: new for new, old in rows})
        self.reasoning_affinity.adopt(former.reasoning_affinity)


def _matches(lane: Lane, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (lane.lane_id, lane.base_id, lane.vendor_model, lane.provider))
