"""The policy `near_best` on logs.

Its relative bar is solved on a bundle's reference answers, for the lanes and prices that each request had.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.bar import SHIFT_STEP, Bar, BarRule
from router.bundle import Bundle
from router.policies.near_best import DEFAULT_QUALITY_OF_BEST
from training.off_policy.errors import CannotTellError
from training.off_policy.evaluation_policies import Beliefs, take_best
from training.off_policy.logged_lanes import is_judged_by_prior, latest_lanes, lay_out
from training.telemetry.lane_book import LaneBook, LoggedLane
from training.telemetry.logged_requests import Float32s, Floats, Ints, LoggedRequests, Mask

_SHARE_STEPS = 1_000
"""The bar rounds a share to three digits."""


@dataclass(frozen=True, slots=True)
class NearBestPolicy:
    """Keeps a share of the best lane's mean quality for the least money, as `router.policies.near_best` does.

    Args:
        bundle: Bundle with the reference answers that the bar is solved on.
        share: Share of the best lane's quality that is wanted if the caller stated none, 0..1.
        beliefs: Function that replaces the logged beliefs; None: they stay, and have to be the bundle's.
        title: Name that reports show.
    """

    bundle: Bundle
    share: float = DEFAULT_QUALITY_OF_BEST
    beliefs: Beliefs | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """Name that reports show."""
        return self.title or "near_best"

    @property
    def needs_text(self) -> bool:
        """Whether the policy can only be judged on requests whose text was kept."""
        return self.beliefs is not None

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return 1 for the lane that the bar's rule takes.

        Raises:
            CannotTellError: The logs lack something that the bar is solved from.
        """
        if self.beliefs is None:
            self._check_beliefs(logs)
        believed = logs if self.beliefs is None else self.beliefs(logs)
        worth, alone = self._rules(logs, believed)
        scores = worth[:, None] * believed.quality - believed.expected_cost_usd
        rows = np.flatnonzero(alone >= 0)
        scores[rows, alone[rows]] = np.inf
        return take_best(logs, scores)

    def _check_beliefs(self, logs: LoggedRequests) -> None:
        others = int((logs.router_versions != self.bundle.version).sum())
        if others:
            raise CannotTellError(
                f"{others:,} of {len(logs):,} requests were not decided by {self.bundle.version}: give --since and "
                "--until within its time, or ask the bundle about their text with bundle=DIR,near_best"
            )

    def _rules(self, logs: LoggedRequests, believed: LoggedRequests) -> tuple[Floats, Ints]:
        """Return (willingness to pay, lane that answers every prompt or -1) of each request, each (n,).

        Args:
            logs: Requests as logged.
            believed: The same requests with the bundle's beliefs, and the shifts that are in them.
        """
        worth, alone = np.zeros(len(logs)), np.full(len(logs), -1, np.intp)
        inputs = _BarInputs.of(logs, self.bundle)
        bars: dict[str, Bar] = {}
        for snapshot, share, rows in _alike(logs, believed.lane_shift, self.share):
            is_eligible = logs.is_eligible[rows[0]]
            inputs.check(logs, is_eligible, snapshot)
            if snapshot not in bars:
                bars[snapshot] = self._bar(logs, inputs, snapshot)
            shift = None if believed.lane_shift is None else believed.lane_shift[rows[0]].astype(np.float64)
            rule = bars[snapshot].rule(is_eligible, share, shift) if is_eligible.any() else BarRule(0.0)
            worth[rows] = rule.willingness_to_pay_usd
            alone[rows] = -1 if rule.lane is None else rule.lane
        if believed.belief_shift is not None and believed.lane_shift is not None:
            of_account = (believed.belief_shift - believed.lane_shift)[np.arange(len(logs)), alone]
            alone[of_account <= -SHIFT_STEP] = -1
        return worth, alone

    def _bar(self, logs: LoggedRequests, inputs: "_BarInputs", snapshot: str) -> Bar:
        lanes = [inputs.book.at.get((snapshot, lane_id), LoggedLane()) for lane_id in logs.lane_ids]
        table = lay_out(logs.lane_ids, lanes, self.bundle)
        return Bar(table, self.bundle.read_reference)


@dataclass(frozen=True, slots=True, eq=False)
class _BarInputs:
    """What the logs hold for solving a bar.

    Args:
        book: Notes about the lanes.
        is_calibrated: Shape (m,), whether the belief about the lane comes from graded answers that no export holds.
    """

    book: LaneBook
    is_calibrated: Mask

    @classmethod
    def of(cls, logs: LoggedRequests, bundle: Bundle) -> "_BarInputs":
        lanes = latest_lanes(logs)
        is_in_bundle = lay_out(logs.lane_ids, lanes, bundle).is_in_bundle
        return cls(logs.lane_book or LaneBook(), ~is_in_bundle & ~is_judged_by_prior(logs, lanes))

    def check(self, logs: LoggedRequests, is_eligible: Mask, snapshot: str) -> None:
        """Raise CannotTellError if a bar cannot be solved with one of the eligible lanes."""
        eligible = [logs.lane_ids[column] for column in np.flatnonzero(is_eligible)]
        unnoted = [lane_id for lane_id in eligible if (snapshot, lane_id) not in self.book.at]
        if unnoted:
            raise CannotTellError(
                f"the bar of near_best is solved from the lanes' prices, and the logs do not hold the prices of "
                f"{unnoted[0]}: exports have them from telemetry schema 2 on, so export again"
            )
        calibrated = [logs.lane_ids[column] for column in np.flatnonzero(is_eligible & self.is_calibrated)]
        if calibrated:
            raise CannotTellError(
                "the bar of near_best is solved from the belief about each lane on the bundle's reference answers, and "
                f"the belief about {calibrated[0]} comes from graded answers of its own, which no export holds: judge "
                "best_value with the worth that the bar was solved to"
            )


def _alike(
    logs: LoggedRequests, lane_shift: Float32s | None, default_share: float
) -> Iterator[tuple[str, float, Ints]]:
    """Yield (price snapshot, share, rows) of requests that have the same bar."""
    n = len(logs)
    snapshots: npt.NDArray[np.str_] = np.full(n, "") if logs.price_snapshots is None else logs.price_snapshots
    stated = np.full(n, np.nan) if logs.quality_of_best is None else logs.quality_of_best
    steps = np.rint(np.where(np.isnan(stated), default_share, stated) * _SHARE_STEPS).astype(np.int64)
    names, code = np.unique(snapshots, return_inverse=True)
    shifts = np.zeros((n, 0)) if lane_shift is None else np.trunc(lane_shift / SHIFT_STEP)
    eligible = np.packbits(logs.is_eligible, axis=1)
    keys = np.column_stack([code, steps, eligible.astype(np.int64), shifts.astype(np.int64)])
    groups, group = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.searchsorted(group[order], np.arange(1, len(groups)))):
        yield str(names[code[rows[0]]]), steps[rows[0]] / _SHARE_STEPS, rows
