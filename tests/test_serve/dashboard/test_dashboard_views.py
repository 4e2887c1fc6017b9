"""What the dashboard's pages show, without any page: numbers, filters, plots, estimates."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from telemetry_strategies import attempt_row, candidate_table

from router.telemetry_schema import CandidateTable, FeedbackRow
from serve.dashboard.charts.budget_bar import budget_bar
from serve.dashboard.charts.columns import columns_of
from serve.dashboard.charts.explored import explored_columns, explored_scatter
from serve.dashboard.charts.reliability import calibration_error, reliability_bins
from serve.dashboard.charts.scale import axis_from_zero, cost_axis
from serve.dashboard.charts.scatter import Dot, scatter_of
from serve.dashboard.exports import csv_parts
from serve.dashboard.page import local_path
from serve.dashboard.queries.decision_query import StoredRequest
from serve.dashboard.queries.requests_filter import read_filter
from serve.dashboard.queries.requests_query import Cursor
from serve.dashboard.queries.sample_query import SampledAnswer
from serve.dashboard.views.candidates_view import EXCLUSIONS, candidates_view
from serve.dashboard.views.decision_view import decision_view
from serve.dashboard.views.number_text import amount_text, exact_usd_text, ms_text, rate_text, share_text, usd_text
from serve.dashboard.views.runner_up import PolicyDefaults, runner_up_of
from serve.dashboard.views.savings import estimate
from serve.dashboard.views.spans import span_named

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")
DEFAULTS = PolicyDefaults(0.01, 0.7)


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (None, "–"),
        (0, "$0"),
        (1, "$0.000000001"),
        (12_340, "$0.0000123"),
        (9_999_999, "$0.0100"),
        (123_456_789, "$0.1235"),
        (1_234_567_000_000, "$1,234.57"),
        (-4_000_000_000, "-$4.00"),
    ],
)
def test_an_amount_has_the_digits_that_matter(nusd: int | None, text: str) -> None:
    assert usd_text(nusd) == text


@given(st.integers(1, 2**62))
def test_something_is_never_shown_as_nothing_and_is_right_to_a_hundredth(nusd: int) -> None:
    shown = Decimal(usd_text(nusd).lstrip("$").replace(",", "")) * 10**9
    assert shown > 0
    assert abs(shown - nusd) <= Decimal(nusd) / 100


@given(st.integers(0, 2**62))
def test_an_exact_amount_loses_nothing(nusd: int) -> None:
    assert Decimal(exact_usd_text(nusd).lstrip("$").replace(",", "")) * 10**9 == nusd
    assert Decimal(amount_text(nusd).lstrip("$").replace(",", "")) * 10**9 == nusd


@given(st.floats(0, 1))
def test_a_share_is_all_or_nothing_only_when_it_is(share: float) -> None:
    assert (share_text(share) == "100%") == (share == 1)
    assert (share_text(share) == "0%") == (share == 0)


def test_prices_and_durations_read_well() -> None:
    assert [rate_text(Decimal(rate)) for rate in ("15", "0.6", "0.075", "1.50", "100")] == [
        "$15",
        "$0.60",
        "$0.075",
        "$1.50",
        "$100",
    ]
    assert [ms_text(ms) for ms in (0.4, 12.3, 999.9, 1_200, 125_000)] == [
        "0.40 ms",
        "12 ms",
        "1.00 s",
        "1.20 s",
        "2 min 5 s",
    ]


def test_a_filter_says_what_it_did_not_understand_and_keeps_the_rest() -> None:
    query = {
        "lane": " a/b ",
        "outcome": "lovely",
        "since": "yesterday",
        "until": "2026-11-24T10:00",
        "span": "9y",
        "x": "1",
    }
    wanted = read_filter(query, NOW, BERLIN)
    assert (wanted.lane, wanted.outcome, wanted.since) == ("a/b", "", None)
    assert wanted.until == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert len(wanted.mistakes) == 3
    assert wanted.query_string == "lane=a%2Fb&until=2026-11-24T10%3A00"
    assert read_filter({"span": "24h"}, NOW, BERLIN).since == NOW - timedelta(days=1)
    assert read_filter({}, NOW, BERLIN).is_empty


@pytest.mark.parametrize("text", [None, "", "a", "a.x.req", "c.1.req", "a.1.", "a." + "9" * 40 + ".req", "a.1.\0"])
def test_a_damaged_cursor_means_the_first_page(text: str | None) -> None:
    assert Cursor.read(text) is None


def test_a_cursor_survives_its_link() -> None:
    for cursor in (Cursor(5, "req_a.b", False), Cursor(7, "req_ü", True)):
        assert Cursor.read(str(cursor)) == cursor


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "", None, "/a\nb"]
)
def test_nobody_is_sent_to_another_site(path: str | None) -> None:
    assert local_path(path) == "/"
    assert local_path("/requests?lane=a") == "/requests?lane=a"


def test_a_month_is_the_viewers_own_and_ends_with_today() -> None:
    span = span_named("month", datetime(2026, 10, 31, 23, 30, tzinfo=UTC), BERLIN)  # already November there
    assert (len(span.buckets), span.label) == (1, "November 2026")
    assert span.since == datetime(2026, 10, 31, 23, tzinfo=UTC)
    october = span_named("30d", NOW, BERLIN)
    hours = [(bucket.until - bucket.since) / timedelta(hours=1) for bucket in october.buckets]
    assert sorted(set(hours)) == [24]
    assert [a.until for a in october.buckets[:-1]] == [b.since for b in october.buckets[1:]]
    assert span_named("24h", NOW, BERLIN).until == datetime(2026, 11, 24, 15, tzinfo=UTC)


def test_the_day_that_clocks_are_set_back_has_an_hour_more() -> None:
    span = span_named("7d", datetime(2026, 10, 27, 12, tzinfo=UTC), BERLIN)
    assert 25 in [(bucket.until - bucket.since) / timedelta(hours=1) for bucket in span.buckets]


@given(st.floats(1e-9, 1e6))
def test_an_axis_holds_its_largest_value_and_is_not_much_longer(largest: float) -> None:
    axis = axis_from_zero(largest)
    assert axis.high >= largest * (1 - 1e-9)
    assert axis.high <= largest * 2.5
    assert 2 <= len(axis.ticks) <= 7


def test_costs_that_differ_by_orders_of_magnitude_get_a_logarithmic_axis() -> None:
    assert not cost_axis([1.0, 2.0]).is_logarithmic
    axis = cost_axis([0.0, 2e-5, 3e-3])
    assert axis.is_logarithmic
    assert axis.place(0.0) == 0.0  # a free lane
    assert axis.place(1e-4) == pytest.approx(1 / 3)


def test_the_frontier_leads_through_the_lanes_that_none_cheaper_equals() -> None:
    def dot(label: str, cost: float, quality: float, kind: str = "eligible") -> Dot:
        return Dot(label, label, cost, quality, 0.1, kind)  # type: ignore[arg-type]

    plot = scatter_of([dot("a", 1, 0.6), dot("b", 2, 0.9, "chosen"), dot("c", 3, 0.8), dot("d", 0.5, 0.99, "excluded")])
    assert len(plot.frontier.split()) == 2
    assert plot.dots[-1].dot.label == "b"  # on top
    assert plot.dots[0].dot.label == "d"
    assert all(plot.left <= placed.x <= plot.right and plot.top <= placed.y <= plot.bottom for placed in plot.dots)
    assert scatter_of([dot("x" * 80, 1, 0.5)]).dots[0].label.endswith("…")


def test_a_column_that_is_not_nothing_is_seen() -> None:
    plot = columns_of([0.0, 1e-9, 5.0], ["a", "b", "c"], ["1", "2", "3"])
    assert [column.height > 0 for column in plot.columns] == [False, True, True]
    assert plot.marks == ("1", "2", "3")
    assert columns_of([], [], []).columns == ()


@pytest.mark.parametrize(
    ("spent", "level"), [(0, "calm"), (499, "calm"), (500, "half"), (800, "high"), (999, "high"), (1_000, "spent")]
)
def test_a_budgets_bar_changes_at_its_marks(spent: int, level: str) -> None:
    bar = budget_bar(spent, 600, 1_000)
    assert bar.level == level
    assert bar.spent + bar.leased <= 1_000
    assert (bar.spent > 0) == (spent > 0)
    assert budget_bar(0, 0, 0).level == "spent"


def test_reliability_is_the_mean_of_each_tenth_that_holds_enough() -> None:
    predicted = np.array([0.15] * 10 + [0.95] * 10 + [0.5] * 3)
    observed = np.array([0.0] * 9 + [1.0] + [1.0] * 10 + [1.0] * 3)
    bins = reliability_bins(predicted, observed)
    assert [(round(each.predicted, 2), each.observed, each.count) for each in bins] == [
        (0.15, 0.1, 10),
        (0.95, 1.0, 10),
    ]
    assert calibration_error(bins) == pytest.approx(0.05)
    assert calibration_error(()) is None


def sampled(
    lane: str, qualities: list[float], costs: list[float], excluded: dict[int, str] | None = None
) -> SampledAnswer:
    n = len(qualities)
    zeros = np.zeros(n, np.float32)
    table = CandidateTable(
        ("cheap", "good", "dear")[:n],
        np.array(qualities, np.float32),
        zeros,
        zeros,
        np.array(costs),
        zeros,
        excluded or {},
        np.zeros(n),
    )
    return SampledAnswer(lane, 1_000, 10.0, 100.0, table)


def test_savings_scale_what_was_spent_by_the_ratio_of_predicted_costs() -> None:
    sample = [sampled("cheap", [0.5, 0.9, 0.7], [1.0, 4.0, 10.0]), sampled("good", [0.25, 0.75, 0.5], [1.0, 4.0, 10.0])]
    result = estimate(sample, 500, 2)
    best, priciest = result.baselines
    assert (best.kind, best.lane_id, best.cost_nusd) == ("best", "good", 800)  # 500 * 8 / 5
    assert best.saved_share == pytest.approx(1 - 5 / 8)
    assert (priciest.lane_id, priciest.cost_nusd) == ("dear", 2_000)
    assert result.quality == pytest.approx((0.5 + 0.75) / 2)
    assert best.own_quality == pytest.approx(result.quality or 0)
    assert result.best == best


def test_a_lane_that_could_answer_less_than_half_is_no_baseline() -> None:
    one = sampled("cheap", [0.5, 0.9], [1.0, 4.0], {1: "region"})
    result = estimate([one, one, sampled("cheap", [0.5, 0.9], [1.0, 4.0])], 300, 3)
    assert [baseline.lane_id for baseline in result.baselines] == ["cheap"]


def test_free_answers_are_compared_with_what_others_would_have_cost() -> None:
    result = estimate([sampled("cheap", [0.5, 0.9], [0.0, 1e-6])], 0, 10)
    assert result.best is not None
    assert result.best.cost_nusd == 10_000
    assert result.best.saved_share == 1
    assert estimate([], 0, 0).best is None


def test_the_runner_up_is_the_policys_second_choice_or_the_lane_asked_second() -> None:
    lanes = candidate_table()
    assert (
        runner_up_of([attempt_row(policy="best_value", candidates=lanes)], DEFAULTS) is None
    )  # its latency is unknown, one is excluded
    whole = CandidateTable(
        ("a", "b", "c"), *(np.array(row, np.float32) for row in ([0.5, 0.6, 0.9], [0, 0, 0], [1, 1, 1])),
        np.array([1e-5, 2e-5, 5e-3]), np.array([30, 20, 10], np.float32), {}, np.array([1.0, 0, 0]),
    )  # fmt: skip
    for policy, expected in (
        ("best_value", "b"),
        ("cheapest", "b"),
        ("lowest_latency", "c"),
        ("cheapest_above_bar", "c"),
        ("near_best", None),
    ):
        assert runner_up_of([attempt_row(policy=policy, candidates=whole, lane_id="a")], DEFAULTS) == expected, policy
    rows = [
        attempt_row(lane_id="a", outcome="timeout", candidates=whole),
        attempt_row(attempt=1, lane_id="c", candidates=whole),
    ]
    assert runner_up_of(rows, DEFAULTS) == "c"


def test_a_decision_shows_what_answered_what_it_cost_together_and_why_lanes_were_excluded() -> None:
    rows = (
        attempt_row(outcome="timeout", total_ms=300.0, cost_nusd=None, ttft_ms=None),
        attempt_row(attempt=1, lane_id="sandbox/large", total_ms=100.0, ttft_ms=40.0, reason="fallback_slow"),
    )
    view = decision_view(StoredRequest(rows, ()), DEFAULTS, {})
    assert view.answer.lane_id == "sandbox/large"
    assert view.total_cost_nusd is None  # one is unknown
    first, second = (line.bar for line in view.attempts)
    assert first is not None
    assert second is not None
    assert (first.start, first.waiting) == (0, 750)
    assert (second.start, second.waiting, second.answering) == (750, 100, 150)
    assert view.candidates is not None
    assert [line.kind for line in view.candidates.lines] == ["chosen", "runner_up", "excluded"]
    assert view.candidates.lines[-1].why == EXCLUSIONS["region"]


def test_every_reason_and_exclusion_is_in_words() -> None:
    from router.eligibility import Exclusion
    from router.policies.registry import POLICIES, REASONS
    from router.reason import REASONS_OF_NO_POLICY

    given = {reason for kind in POLICIES.values() for reason in kind.reasons} | set(REASONS_OF_NO_POLICY)
    assert set(REASONS.values()) == given
    assert all(" " in reason.explanation for reason in given)
    assert set(EXCLUSIONS) == {exclusion.value for exclusion in Exclusion}


def test_candidates_without_numbers_make_no_plot() -> None:
    from router.telemetry_schema import Candidate

    assert candidates_view([Candidate("a")], "a", None, {}).plot is None


def test_no_cell_of_a_csv_is_a_formula() -> None:
    parts = csv_parts(["a", "b"], [{"a": "=cmd()", "b": -4}, {"a": None, "b": NOW}])
    assert "".join(parts) == f"a,b\r\n'=cmd(),-4\r\n,{NOW.isoformat()}\r\n"
    long = ["x" * 1_000] * 200
    parts = list(csv_parts(["a"], [{"a": word} for word in long]))
    assert len(parts) > 2
    assert "".join(parts).splitlines() == ["a", *long]


def test_a_price_that_the_operator_set_is_compared_with_the_published_one() -> None:
    from dataclasses import replace

    from any_lane import LANE

    from router.price_table import Price
    from serve.dashboard.views.price_comparison import differing_prices

    def lane(lane_id: str, usd: str, source: str, provider: str = "openai") -> object:
        price = Price(Decimal(usd), Decimal(usd), source, NOW.date())
        return replace(LANE, lane_id=lane_id, provider=provider, upstream_model="gpt-4o-mini", price=price)

    lanes: list[Any] = [
        lane("own", "123", "set by the operator"),
        lane("published", "123", "genai-prices 0.2.3"),
        lane("elsewhere", "123", "set by the operator", "homelab"),
    ]
    prices = differing_prices(lanes, NOW)
    assert list(prices) == ["own"]
    assert prices["own"].source.startswith("genai-prices")
    assert prices["own"].input_usd_per_mtok != 123


def test_an_explored_plot_says_what_the_drawing_says_and_leaves_out_what_a_logarithmic_axis_cannot_show() -> None:
    dots = [
        Dot(name, f"{name} described", cost, 0.5, None, "eligible")
        for name, cost in (("free", 0.0), ("cheap", 0.001), ("dear", 1.0))
    ]
    linear, logarithmic = (explored_scatter(dots, is_logarithmic=is_logarithmic) for is_logarithmic in (False, True))
    assert [dot["lane"] for dot in linear["dots"]] == ["free", "cheap", "dear"]
    assert [dot["lane"] for dot in logarithmic["dots"]] == ["cheap", "dear"]
    start = datetime(2026, 11, 24, 23, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin"))
    columns = explored_columns([start], [0.5], [3], ["Wed 25 Nov: $0.5, 3 requests"])
    assert columns["x"] == ["2026-11-25T00:00:00"]  # the account's day, whatever the browser's zone is
    assert (columns["usd"], columns["requests"]) == ([0.5], [3])


@pytest.mark.parametrize(
    ("metric_name", "value", "given_by", "words"),
    [
        ("thumbs", 1.0, "ci", ("up", "ci")),
        ("refusal", 0.0, "check:refusal", ("no", "an automatic check")),
        ("edited_share", 0.25, "check:edited_share", ("0.25", "an automatic check")),
        ("judge.rubric", 0.75, "judge:openai/gpt-5-mini", ("0.75", "the judge openai/gpt-5-mini")),
    ],
)
def test_feedback_reads_as_words(metric_name: str, value: float, given_by: str, words: tuple[str, str]) -> None:
    row = FeedbackRow(request_id="req_1", metric_name=metric_name, value=value, given_by=given_by, received_at=NOW)
    [line] = decision_view(StoredRequest((attempt_row(),), (row,)), DEFAULTS, {}).feedback
    assert (line.value_text, line.giver) == words


def test_the_router_page_says_where_routing_saves_nothing_with_these_keys() -> None:
    from router.pool_figures import PoolFigures
    from serve.dashboard.views.router_view import pool_lines

    def figures(work: str, *models: str, low: float, is_small: bool = False) -> PoolFigures:
        return PoolFigures(work, work, ("openai", "openrouter"), models, 120, is_small, "paid", 0.1, 0.012, low, 0.03)

    idle = figures("SQL", "openai/gpt-5", "openai/o3", low=-0.01)
    paying = figures("chat", "openai/gpt-5", low=0.002)
    strange = figures("tools", "acme/one", low=0.0)
    few = figures("riddles", "openai/o3", low=0.001, is_small=True)
    lines = pool_lines([idle, paying, strange, few], {"openai/gpt-5", "openai/o3"})
    assert [(line.is_own, line.verdict) for line in lines] == [
        (True, "With these keys, routing saves nothing on such work."),
        (True, "With these keys, routing gains 1.2 points on such work."),
        (False, "With keys of openai, openrouter, routing saves nothing on such work."),
        (True, "With these keys, routing may pay on such work; the prompts are too few to say."),
    ]
    assert pool_lines([], {"openai/gpt-5"}) == []
