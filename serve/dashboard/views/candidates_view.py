"""The candidates of a decision as a table and a plot, whether the decision was logged or has just been taken. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.telemetry_schema import Candidate
from serve.dashboard.charts.explored import Explored, explored_scatter
from serve.dashboard.charts.scatter import SMALL, Dot, Kind, Scatter, scatter_of
from serve.dashboard.views.number_text import float_usd_text, ms_text, probability_text

EXCLUSIONS = {
    "pin": "another lane was pinned",
    "models": "not among the models asked for",
    "virtual_key": "not for this virtual key",
    "thoughts": "cannot read the conversation's thoughts",
    "provider": "its provider was not wanted",
    "capability": "cannot do what the request needs",
    "parameters": "does not take a parameter",
    "context_length": "the prompt is too long for it",
    "output_length": "cannot answer at that length",
    "region": "runs in another region",
    "data_collection": "its provider may train on what is sent",
    "zdr": "its provider may keep what is sent",
    "max_price": "dearer than the highest price",
    "max_cost": "would cost more than allowed",
    "max_latency": "would take longer than allowed",
    "budget": "its budget is spent",
    "rate_limit": "its rate limit leaves too little",
    "cooldown": "rests after a limit or a failure",
}
"""`excluded_by` -> in words."""


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """One lane: what was expected, what became of it, and of an excluded one why, in words."""

    candidate: Candidate
    kind: Kind
    why: str


@dataclass(frozen=True, slots=True)
class CandidatesView:
    """All of them.

    Args:
        lines: The chosen one, the runner-up, the other eligible ones by probability and quality, then the excluded ones.
        plot, small_plot: For wide and narrow screens; None: no lane has a known cost and quality.
        explored: The same plot as data.
        n_excluded: How many could not be asked.
    """

    lines: Sequence[CandidateLine]
    plot: Scatter | None
    small_plot: Scatter | None
    explored: Explored
    n_excluded: int


def candidates_view(candidates: Sequence[Candidate], chosen: str, runner_up: str | None) -> CandidatesView:
    """Return the view.

    Args:
        candidates: Of one decision.
        chosen: The lane that the decision put first.
        runner_up: The one it put second; None: there was none, or it is not known.
    """
    lines = [_line(candidate, chosen, runner_up) for candidate in candidates]
    rank = {"chosen": 0, "runner_up": 1, "eligible": 2, "excluded": 3}
    lines.sort(key=lambda line: (rank[line.kind], -line.candidate.probability, -(line.candidate.quality or 0)))
    dots = [
        Dot(
            line.candidate.lane_id,
            _told(line),
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
    told = explored_scatter(dots, is_logarithmic=plot is not None and plot.is_logarithmic)
    return CandidatesView(lines, plot, scatter_of(dots, SMALL) if dots else None, told, n_excluded)


def _line(candidate: Candidate, chosen: str, runner_up: str | None) -> CandidateLine:
    if candidate.excluded_by is not None:
        return CandidateLine(candidate, "excluded", EXCLUSIONS.get(candidate.excluded_by, candidate.excluded_by))
    kind: Kind = (
        "chosen" if candidate.lane_id == chosen else "runner_up" if candidate.lane_id == runner_up else "eligible"
    )
    return CandidateLine(candidate, kind, "")


def _told(line: CandidateLine) -> str:
    lane = line.candidate
    role = {"chosen": ", chosen", "runner_up": ", runner-up", "eligible": "", "excluded": f", excluded: {line.why}"}[
        line.kind
    ]
    return (
        f"{lane.lane_id}{role}: quality {probability_text(lane.quality)}, {float_usd_text(lane.expected_cost_usd)}, "
        f"{ms_text(lane.expected_latency_ms)}"
    )
