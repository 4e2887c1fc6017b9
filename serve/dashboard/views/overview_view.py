"""What the overview shows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from serve.dashboard.charts.columns import Columns, columns_of
from serve.dashboard.charts.explored import Explored, explored_columns
from serve.dashboard.queries.feedback_query import Thumbs
from serve.dashboard.queries.usage_query import LaneSum, LaneSums, add_up
from serve.dashboard.views.budgets_view import BudgetLine
from serve.dashboard.views.lane_facts import LaneFact
from serve.dashboard.views.number_text import count_text, usd_text
from serve.dashboard.views.savings import Estimate
from serve.dashboard.views.spans import Span
from serve.money.budget import Nusd


@dataclass(frozen=True, slots=True)
class LaneShare:
    """A lane's part of the span: of the answers, in per mille of the largest part for its bar, and of the money."""

    lane_sum: LaneSum
    share: float
    bar: float
    failed: int


@dataclass(frozen=True, slots=True)
class OverviewView:
    """The page.

    Args:
        spent_nusd: Of all attempts whose cost is known; `unpriced` counts the others.
        requests, answered: Requests, and those that got an answer.
        failed_attempts: Attempts without an answer, those that a fallback made good among them.
        spend: A column for each day or hour; `spend_told` is the same as data.
        failed_last_hour, attempts_last_hour: Attempts of the last hour, for what goes wrong now.
    """

    span: Span
    spent_nusd: Nusd
    unpriced: int
    requests: int
    answered: int
    failed_attempts: int
    spend: Columns
    spend_told: Explored
    lanes: Sequence[LaneShare]
    estimate: Estimate
    thumbs: Thumbs
    budgets: Sequence[BudgetLine]
    troubled: Sequence[LaneFact]
    failed_last_hour: int
    attempts_last_hour: int
    now: datetime

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked in this span."""
        return self.requests == 0 and not self.lanes


def overview_view(
    span: Span,
    sums: Sequence[LaneSums],
    hour: LaneSums,
    estimate: Estimate,
    thumbs: Thumbs,
    budgets: Sequence[BudgetLine],
    troubled: Sequence[LaneFact],
    now: datetime,
    zone: ZoneInfo,
) -> OverviewView:
    """Return the view; `sums` holds those of each of the span's buckets, `hour` those of the last hour; `zone` is whose days are shown."""
    total = add_up(list(sums))
    costs = [sum(lane.cost_nusd for lane in bucket) for bucket in sums]
    answered = sum(lane.answered for lane in total)
    labels = [
        f"{bucket.label}: {usd_text(cost)}, {count_text(sum(lane.requests for lane in bucket_sums))} requests"
        for bucket, cost, bucket_sums in zip(span.buckets, costs, sums, strict=True)
    ]
    return OverviewView(
        span=span,
        spent_nusd=sum(costs),
        unpriced=sum(lane.unpriced for lane in total),
        requests=sum(lane.requests for lane in total),
        answered=answered,
        failed_attempts=sum(lane.attempts - lane.answered for lane in total),
        spend=columns_of([cost / 1e9 for cost in costs], labels, [bucket.mark for bucket in span.buckets]),
        spend_told=explored_columns(
            [bucket.since.astimezone(zone) for bucket in span.buckets],
            [cost / 1e9 for cost in costs],
            [sum(lane.requests for lane in bucket_sums) for bucket_sums in sums],
            labels,
        ),
        lanes=_shares(total, answered),
        estimate=estimate,
        thumbs=thumbs,
        budgets=budgets,
        troubled=troubled,
        failed_last_hour=sum(lane.attempts - lane.answered for lane in hour),
        attempts_last_hour=sum(lane.attempts for lane in hour),
        now=now,
    )


def _shares(total: LaneSums, answered: int) -> list[LaneShare]:
    largest = max((lane.answered for lane in total), default=0)
    shares = [
        LaneShare(
            lane,
            lane.answered / answered if answered else 0.0,
            round(lane.answered / largest * 1_000, 1) if largest else 0.0,
            lane.attempts - lane.answered,
        )
        for lane in total
    ]
    return sorted(shares, key=lambda share: (-share.lane_sum.answered, share.lane_sum.lane_id))


def usage_rows(span: Span, sums: Sequence[LaneSums]) -> list[Mapping[str, object]]:
    """Return a row for each bucket and lane, for an export."""
    return [
        {
            "since": bucket.since,
            "until": bucket.until,
            "lane_id": lane.lane_id,
            "requests": lane.requests,
            "attempts": lane.attempts,
            "answered": lane.answered,
            "cost_nusd": lane.cost_nusd,
            "unpriced_attempts": lane.unpriced,
        }
        for bucket, bucket_sums in zip(span.buckets, sums, strict=True)
        for lane in bucket_sums
    ]
