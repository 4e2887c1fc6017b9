"""The candidates of a decision as a table and a plot, for a logged decision and for one just taken. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from router.telemetry_schema import Candidate
from serve.dashboard.charts.explored import Explored, explored_scatter
from serve.dashboard.charts.scatter import SMALL, Dot, Kind, Scatter, scatter_of
from serve.dashboard.views.lane_basis import LaneBasis
from serve.dashboard.views.number_text import float_usd_text, ms_text, probability_text

EXCLUSIONS = {
    "pin": "another lane was pinned",
    "models": "not among the requested models",
    "virtual_key": "not for this virtual key",
    "thoughts": "cannot read the conversation's thoughts",
    "effort": "the request does not leave this effort open",
    "provider": "the request excludes its provider",
    "capability": "lacks a capability that the request needs",
    "parameters": "does not take a parameter",
    "context_length": "the prompt is too long for it",
    "output_length": "cannot answer at that length",
    "region": "runs in another region",
    "data_collection": "its provider may train on what is sent",
    "zdr": "its provider may keep what is sent",
    "max_price": "more expensive than the highest allowed price",
    "max_cost": "would cost more than allowed",
    "max_latency": "would take longer than allowed",
    "budget": "its budget is spent",
    "rate_limit": "its rate limit leaves too little",
    "cooldown": "rests after a limit or a failure",
}
"""`excluded_by` -> explanation in words."""


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """One lane with its expected figures and its role.

    Args:
        candidate: Expected figures.
        kind: Role.
        why: Reason in words why it was excluded.
        basis: Basis of its quality; None: the lane is no longer there.
    """

    candidate: Candidate
    kind: Kind
    why: str
    basis: LaneBasis | None = None


@dataclass(frozen=True, slots=True)
class CandidatesView:
    """All candidates of a decision.

    Args:
        lines: Chosen lane, runner-up, other eligible lanes by probability and quality, and then excluded lanes.
        plot, small_plot: Plots for wide and narrow screens; None: no lane has a known cost and quality.
        explored: Data of the same plot.
        n_excluded: Number of excluded lanes.
    """

    lines: Sequence[CandidateLine]
    plot: Scatter | None
    small_plot: Scatter | None
    explored: Explored
    n_excluded: int


def candidates_view(
    candidates: Sequence[Candidate], chosen: str, runner_up: str | None, bases: Mapping[str, LaneBasis]
) -> CandidatesView:
    """Return the view.

    Args:
        candidates: Candidates of one decision.
        chosen: Lane that the decision put first.
        runner_up: Lane that it put second; None: there was none, or it is unknown.
        bases: Lane id -> basis of its quality.
    """
    lines = [_line(candidate, chosen, runner_up, bases.get(candidate.lane_id)) for candidate in candidates]
    rank = {"chosen": 0, "runner_up": 1, "eligible": 2, "excluded": 3}
    lines.sort(key=lambda line: (rank[line.kind], -line.candidate.probability, -(line.candidate.quality or 0)))
    dots = [
        Dot(
            line.candidate.lane_id,
            _description(line),
            line.candidate.expected_cost_usd,
            line.candidate.quality,
            line.candidate.quality_std,
            line.kind,
        )
        for line in lines
        if line.candidate.expected_cost_usd is not None and line.candidate.quality is not None
    ]
    n_excluded = sum(line.kind == "excluded" for line in lines)
    plot = scatter_of(dots) if dots else None
    explored = explored_scatter(dots, is_logarithmic=plot is not None and plot.is_logarithmic)
    return CandidatesView(lines, plot, scatter_of(dots, SMALL) if dots else None, explored, n_excluded)


def _line(candidate: Candidate, chosen: str, runner_up: str | None, basis: LaneBasis | None) -> CandidateLine:
    if candidate.excluded_by is not None:
        why = EXCLUSIONS.get(candidate.excluded_by, candidate.excluded_by)
        return CandidateLine(candidate, "excluded", why, basis)
    kind: Kind = (
        "chosen" if candidate.lane_id == chosen else "runner_up" if candidate.lane_id == runner_up else "eligible"
    )
    return CandidateLine(candidate, kind, "", basis)


def _description(line: CandidateLine) -> str:
    lane = line.candidate
    role = {"chosen": ", chosen", "runner_up": ", runner-up", "eligible": "", "excluded": f", excluded: {line.why}"}[
        line.kind
    ]
    return (
        f"{lane.lane_id}{role}: quality {probability_text(lane.quality)}, {float_usd_text(lane.expected_cost_usd)}, "
        f"{ms_text(lane.expected_latency_ms)}"
    )
