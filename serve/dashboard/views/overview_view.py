"""The overview page. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from router.price_table import NUSD_PER_USD
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
    """A lane's share of the answers, and the length of its bar in per mille of the largest one."""

    lane_sum: LaneSum
    share: float
    bar: float
    failed: int


@dataclass(frozen=True, slots=True)
class OverviewView:
    """The page.

    Args:
        spent_nusd: Cost of all attempts with a known cost; `unpriced` counts the others.
        requests, answered: Requests, and those that got an answer.
        failed_attempts: Attempts without an answer, also those with a fallback that answered.
        spend: Plot with a column for each day or hour.
        spend_explored: Data of the same plot.
        failed_last_hour, attempts_last_hour: Attempts of the last hour, for present problems.
    """

    span: Span
    spent_nusd: Nusd
    unpriced: int
    requests: int
    answered: int
    failed_attempts: int
    spend: Columns
    spend_explored: Explored
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
        """Whether there were no requests in this span."""
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
    """Return the view.

    Args:
        span: Span of time that is shown.
        sums: Sums of each bucket of the span.
        hour: Sums of the last hour.
        estimate: Estimate of savings and quality.
        thumbs: Thumbs of the span.
        budgets: Budgets of this month.
        troubled: Lanes that rest or fail now.
        now: Present time.
        zone: Time zone of the days that are shown.
    """
    total = add_up(list(sums))
    costs = [sum(lane.cost_nusd for lane in bucket) for bucket in sums]
    costs_usd = [cost / NUSD_PER_USD for cost in costs]
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
        spend=columns_of(costs_usd, labels, [bucket.mark for bucket in span.buckets]),
        spend_explored=explored_columns(
            [bucket.since.astimezone(zone) for bucket in span.buckets],
            costs_usd,
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
