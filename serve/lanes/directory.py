"""The lanes of this process: what the decision sees of them, and beside it, never inside it, how to reach each one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np

from router.account_correction import LaneCoefficients
from router.bar import Bar
from router.expectation import LaneState
from router.lane import Lane
from router.lane_table import Floats, LaneTable
from router.price_table import Price
from router.quality_model import Float32s, QualityModel
from serve.dialects.quirks import Quirks
from serve.lanes.hosted_health import AnyLaneHealth
from serve.lanes.reasoning_affinity import ReasoningAffinity
from serve.lanes.warm_caches import WarmCaches
from serve.upstream.destination import Destination
from serve.upstream.signing.signer import Signer
from serve.upstream.transport import Deadlines, UpstreamTransport
from serve.upstream.upstream_terms import NO_TERMS, UpstreamTerms


@dataclass(frozen=True, slots=True)
class LaneConnection:
    """How to reach a lane.

    Args:
        lane: The lane.
        endpoints: Dialect that it speaks -> where it answers and where it streams; the first is for callers of dialects that it does not speak.
        headers: With the provider key, if that is all it takes; never printed.
        quirks: Where the provider differs from the dialect.
        transport: Who carries the bytes.
        deadlines: Limits of one call.
        terms: How the provider limits, refuses and caches.
        signer: Adds the credentials to each request; None: the headers have them.
        hosted_at: What the provider asks of the operator, on whose key the lane runs for an account that is not the operator's; None: the
            account's own key.
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
    _destinations: dict[tuple[str, bool], Destination] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def destination(self, dialect: str, *, is_streaming: bool) -> Destination:
        """Return where requests of a dialect are posted. It is made once, and lives as long as the connection."""
        destination = self._destinations.get((dialect, is_streaming))
        if destination is None:
            destination = Destination(self.endpoints[dialect][is_streaming], self.headers)
            self._destinations[dialect, is_streaming] = destination
        return destination

    def dialect_for(self, caller: str) -> str:
        """Return the dialect in which this lane is asked on behalf of a caller: the caller's own where it can be."""
        return caller if caller in self.endpoints else next(iter(self.endpoints))


@dataclass(frozen=True, slots=True, eq=False)
class LaneDirectory:
    """All lanes at one moment; replaced whole when prices, lanes or the bundle change, while requests under way keep theirs.

    Args:
        table: The lanes as columns, laid out for the quality model.
        connections: In the rows' order.
        health: Cool-downs, limits and speeds.
        warm_caches: Whose prompt caches hold which conversation.
        reasoning_affinity: Which lanes can read the reasoning that a conversation carries.
        price_snapshot_id: Of the prices in the lanes.
        bar: Solves relative bars for these lanes at these prices.
        quality_model: Believes something of these lanes; kept with them, so that a request never sees one bundle's beliefs in another one's columns.
        permissions: What was worked out of virtual keys' patterns so far.
        quality_shifts: Bundle's version -> what was learned of the lanes since it was trained, shape (n_lanes,), added to the log odds of
            a good answer; versions of which nothing was learned are absent. Its arrays are replaced whole, never written into.
        account_coefficients: Bundle's version -> the account's own correction; absent: it has none.
    """

    table: LaneTable
    connections: tuple[LaneConnection, ...]
    health: AnyLaneHealth
    warm_caches: WarmCaches
    reasoning_affinity: ReasoningAffinity
    price_snapshot_id: str
    bar: Bar
    quality_model: QualityModel
    permissions: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)
    quality_shifts: dict[str, Floats] = field(default_factory=dict)
    account_coefficients: dict[str, LaneCoefficients] = field(default_factory=dict)

    @property
    def router_version(self) -> str:
        """Of the bundle that decides on these lanes, as logged with every decision."""
        return self.quality_model.version

    def with_shifts(self, state: LaneState, quality: Float32s) -> LaneState:
        """Return a state with what was learned for one prompt, from the trained models' P(good answer), shape (n_trained,)."""
        version = self.quality_model.version
        shift, coefficients = self.quality_shifts.get(version), self.account_coefficients.get(version)
        account_shift = None if coefficients is None else coefficients.shift(quality)
        return replace(state, quality_shift=shift, account_shift=account_shift)

    def permitted(self, patterns: tuple[str, ...]) -> frozenset[str]:
        """Return the ids of the lanes that match one of some patterns by their id, their vendor model or their provider.

        Args:
            patterns: As in file names: `anthropic/*` (the vendor), `groq` (the provider), `openai@work/gpt-5-mini`.
        """
        known = self.permissions.get(patterns)
        if known is None:
            lanes = [lane for lane in self.table.lanes if any(_matches(lane, pattern) for pattern in patterns)]
            known = self.permissions[patterns] = frozenset(lane.lane_id for lane in lanes)
        return known

    def adopt(self, former: "LaneDirectory") -> None:
        """Take over what a former directory of the same account knows of lanes that are in both."""
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
    return any(fnmatchcase(name, pattern) for name in (lane.lane_id, lane.vendor_model, lane.provider))
