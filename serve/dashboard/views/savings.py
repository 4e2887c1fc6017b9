"""The savings of routing compared with one fixed lane. Pure.

They are estimated from the predictions that were logged with each decision.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from router.price_table import NUSD_PER_USD
from serve.dashboard.queries.sample_query import SampledAnswer
from serve.money.budget import Nusd

_LEAST_COVERAGE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Baseline:
    """One lane that would have answered everything.

    Args:
        kind: Whether it is the lane of the best predicted quality or of the highest predicted cost.
        lane_id: Id of the lane.
        cost_nusd: Estimated cost of the span's answers on this lane.
        saved_share: 1 - spending / cost; negative: routing cost more; None: the lane would have been free.
        quality: Mean predicted quality of the lane, 0..1.
        own_quality: Mean predicted quality of the lanes that answered, on the same requests.
        coverage: Share of the sampled requests that the lane could have answered.
    """

    kind: Literal["best", "priciest"]
    lane_id: str
    cost_nusd: Nusd
    saved_share: float | None
    quality: float
    own_quality: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate from a sample.

    Args:
        sampled: Number of answers in the sample.
        quality: Mean predicted quality of the lanes that answered; None: nothing was predicted.
        baselines: Baselines, one of each kind at most; empty: no lane could have answered half of the requests.
        ttft_ms, total_ms: Medians of the answers; None: none was timed.
    """

    sampled: int
    quality: float | None
    baselines: tuple[Baseline, ...]
    ttft_ms: float | None
    total_ms: float | None

    @property
    def best(self) -> Baseline | None:
        """Baseline of the lane with the best predicted quality."""
        return next((baseline for baseline in self.baselines if baseline.kind == "best"), None)


@dataclass(frozen=True, slots=True)
class _LaneTotals:
    """Sums of predictions over the requests that one lane could have answered; `own_` is the lane that answered."""

    n: float = 0
    quality: float = 0.0
    own_quality: float = 0.0
    cost_usd: float = 0.0
    own_cost_usd: float = 0.0

    def __add__(self, other: "_LaneTotals") -> "_LaneTotals":
        return _LaneTotals(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def estimate(sample: Sequence[SampledAnswer], spent_nusd: Nusd, answered: int) -> Estimate:
    """Return the estimate.

    A lane's cost is the spending, times the ratio of the lane's predicted cost to the predicted cost of the lanes that
    answered. The ratio is over the sampled requests that the lane could have answered. An error that all predictions
    share cancels out.

    Args:
        sample: Random answers of the span.
        spent_nusd: Cost of all answers of the span.
        answered: Number of all answers of the span.
    """
    totals, own_qualities = _totals(sample)
    eligible = {lane: total for lane, total in totals.items() if total.n and total.n >= _LEAST_COVERAGE * len(sample)}
    baselines: list[Baseline] = []
    if eligible:
        best = max(eligible, key=lambda lane: (eligible[lane].quality / eligible[lane].n, lane))
        priciest = max(eligible, key=lambda lane: (eligible[lane].cost_usd / eligible[lane].n, lane))
        baselines.append(_baseline("best", best, eligible[best], len(sample), spent_nusd, answered))
        if priciest != best:
            baselines.append(_baseline("priciest", priciest, eligible[priciest], len(sample), spent_nusd, answered))
    ttft = [answer.ttft_ms for answer in sample if answer.ttft_ms is not None]
    total = [answer.total_ms for answer in sample if answer.total_ms is not None]
    return Estimate(
        len(sample),
        float(np.mean(own_qualities)) if own_qualities else None,
        tuple(baselines),
        float(np.median(ttft)) if ttft else None,
        float(np.median(total)) if total else None,
    )


def _totals(sample: Sequence[SampledAnswer]) -> tuple[dict[str, _LaneTotals], list[float]]:
    """Return lane -> its totals, and the predicted quality of each answer.

    The sums are taken column by column, because live pages ask every few seconds.
    """
    by_lanes: dict[tuple[str, ...], list[SampledAnswer]] = defaultdict(list)
    for answer in sample:
        if answer.lane_id in answer.candidates.lane_ids:
            by_lanes[answer.candidates.lane_ids].append(answer)
    totals: dict[str, _LaneTotals] = defaultdict(_LaneTotals)
    own_qualities: list[float] = []
    for lane_ids, answers in by_lanes.items():
        of_lanes, own = _totals_of_alike(lane_ids, answers)
        own_qualities += own
        for lane, total in zip(lane_ids, of_lanes, strict=True):
            totals[lane] += total
    return totals, own_qualities


def _totals_of_alike(
    lane_ids: tuple[str, ...], answers: Sequence[SampledAnswer]
) -> tuple[list[_LaneTotals], list[float]]:
    """Return the totals of each lane, and the answers' own predicted qualities, for decisions about the same lanes."""
    quality = np.stack([answer.candidates.quality for answer in answers]).astype(np.float64)  # (n_answers, n_lanes)
    cost = np.stack([answer.candidates.expected_cost_usd for answer in answers]).astype(np.float64)
    could_answer = ~(np.isnan(quality) | np.isnan(cost))
    for row, answer in enumerate(answers):
        could_answer[row, list(answer.candidates.excluded_by)] = False
    rows, own = np.arange(len(answers)), np.array([lane_ids.index(answer.lane_id) for answer in answers])
    own_quality, own_cost = quality[rows, own], cost[rows, own]  # (n_answers,)
    is_predicted = ~(np.isnan(own_quality) | np.isnan(own_cost))
    counts = could_answer & is_predicted[:, None]
    sums = (
        counts.sum(axis=0),
        np.where(counts, quality, 0.0).sum(axis=0),
        np.where(counts, own_quality[:, None], 0.0).sum(axis=0),
        np.where(counts, cost, 0.0).sum(axis=0),
        np.where(counts, own_cost[:, None], 0.0).sum(axis=0),
    )
    return [_LaneTotals(*column) for column in np.array(sums).T.tolist()], own_quality[is_predicted].tolist()


def _baseline(
    kind: Literal["best", "priciest"], lane: str, total: _LaneTotals, sampled: int, spent_nusd: Nusd, answered: int
) -> Baseline:
    if total.own_cost_usd > 0:
        cost = spent_nusd * total.cost_usd / total.own_cost_usd
    else:  # every answer was free: only the predicted costs count
        cost = total.cost_usd / total.n * answered * NUSD_PER_USD
    saved = 1 - spent_nusd / cost if cost > 0 else None
    return Baseline(
        kind, lane, round(cost), saved, total.quality / total.n, total.own_quality / total.n, total.n / sampled
    )
