"""Measures decisions on the everyday suite: lengths, difficulty, price of easy prompts, quality on hard ones."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np

from bench.everyday_decisions import EverydayDecisions
from bench.everyday_suite import EASY_UP_TO, HARD_FROM
from router.arrays import Mask, Rows

CHEAPEST_SHARE: Final = 0.1
"""Share of the lanes, the cheapest by mean cost, that stand for a weak lane."""


@dataclass(frozen=True, slots=True)
class PromptRow:
    """The decision on one prompt.

    Args:
        id, kind, level: The prompt.
        least_tokens, most_tokens: Range of a sensible visible answer, tokens.
        visible_tokens, reasoning_tokens: Expected lengths on the chosen lane, tokens.
        prompt_tokens: Estimated length of the prompt, tokens.
        difficulty: Difficulty that the bundle sees, on the logit scale.
        lane, model: Chosen lane, and its model with the vendor's name.
        quality: P(good answer) of the chosen lane.
        cost_usd: Expected cost on the chosen lane, USD.
        best_quality, best_cost_usd: The same of the best lane.
        weak_quality: Mean P(good answer) of the weak lanes.
        median_quality: Median P(good answer) of all lanes.
    """

    id: str
    kind: str
    level: int
    least_tokens: int
    most_tokens: int
    visible_tokens: float
    reasoning_tokens: float
    prompt_tokens: int
    difficulty: float
    lane: str
    model: str
    quality: float
    cost_usd: float
    best_quality: float
    best_cost_usd: float
    weak_quality: float
    median_quality: float


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of some prompts; None: there are no prompts for it.

    Args:
        n_prompts, n_pairs: Number of prompts, and of pairs of an easy and a hard prompt of one kind.
        in_range, too_short, too_long: Shares of the prompts by the expected visible length on the chosen lane.
        easy_tokens, hard_tokens: Median of that length on easy and on hard prompts, tokens.
        easy_best_quality, hard_best_quality: Mean P(good answer) of the best lane.
        easy_lead, hard_lead: Mean lead in P(good answer) of the best lane over the weak ones.
        lead_grows: Share of the pairs in which the lead over the weak lanes is larger on the hard prompt.
        lead_over_median_grows: The same for the lead over the median lane.
        difficulty_grows: Share of the pairs in which the bundle sees the hard prompt as more difficult.
        prompt_grows: Share of the pairs in which the hard prompt is longer: what counting characters would give.
        easy_cost_share: Cost of the choice on easy prompts, as a share of the best lane's; mean over the prompts.
        hard_shortfall: Quality of the best lane on hard prompts minus that of the choice; mean over the prompts.
        distinct_lanes, distinct_models: Number of different lanes and models that were chosen.
    """

    n_prompts: int
    n_pairs: int
    in_range: float | None
    too_short: float | None
    too_long: float | None
    easy_tokens: float | None
    hard_tokens: float | None
    easy_best_quality: float | None
    hard_best_quality: float | None
    easy_lead: float | None
    hard_lead: float | None
    lead_grows: float | None
    lead_over_median_grows: float | None
    difficulty_grows: float | None
    prompt_grows: float | None
    easy_cost_share: float | None
    hard_shortfall: float | None
    distinct_lanes: int
    distinct_models: int


@dataclass(frozen=True, slots=True)
class Target:
    """A value that a bundle should reach on the whole suite.

    Args:
        measure: Name of the figure in `Measures`.
        words: Meaning of the figure.
        value: Value to reach.
        is_ceiling: Whether the figure may be at most the value; else at least.
    """

    measure: str
    words: str
    value: float
    is_ceiling: bool = False

    def holds(self, measures: Measures) -> bool:
        """Return whether the figure is on the right side; a figure that is unknown is not."""
        reached: float | None = getattr(measures, self.measure)
        if reached is None:
            return False
        return reached <= self.value if self.is_ceiling else reached >= self.value


TARGETS: Final = (
    Target("in_range", "prompts with an expected length within the range", 0.85),
    Target("lead_grows", "pairs in which the best lane's lead is larger on the hard prompt", 0.85),
    Target("easy_cost_share", "cost of the choice on easy prompts, share of the best lane's", 0.1, is_ceiling=True),
    Target("hard_shortfall", "quality given up on hard prompts, compared with the best lane", 0.05, is_ceiling=True),
    Target("distinct_lanes", "different lanes that were chosen", 4),
)


def measure(rows: Sequence[PromptRow]) -> Measures:
    """Return the figures of these prompts."""
    easy = [row for row in rows if row.level <= EASY_UP_TO]
    hard = [row for row in rows if row.level >= HARD_FROM]
    pairs = [(first, second) for first, second in product(easy, hard) if first.kind == second.kind]
    return Measures(
        n_prompts=len(rows),
        n_pairs=len(pairs),
        in_range=_mean(row.least_tokens <= row.visible_tokens <= row.most_tokens for row in rows),
        too_short=_mean(row.visible_tokens < row.least_tokens for row in rows),
        too_long=_mean(row.visible_tokens > row.most_tokens for row in rows),
        easy_tokens=_median(row.visible_tokens for row in easy),
        hard_tokens=_median(row.visible_tokens for row in hard),
        easy_best_quality=_mean(row.best_quality for row in easy),
        hard_best_quality=_mean(row.best_quality for row in hard),
        easy_lead=_mean(map(_lead, easy)),
        hard_lead=_mean(map(_lead, hard)),
        lead_grows=_grows(pairs, _lead),
        lead_over_median_grows=_grows(pairs, lambda row: row.best_quality - row.median_quality),
        difficulty_grows=_grows(pairs, lambda row: row.difficulty),
        prompt_grows=_grows(pairs, lambda row: row.prompt_tokens),
        easy_cost_share=_mean(row.cost_usd / row.best_cost_usd for row in easy if row.best_cost_usd > 0),
        hard_shortfall=_mean(row.best_quality - row.quality for row in hard),
        distinct_lanes=len({row.lane for row in rows}),
        distinct_models=len({row.model for row in rows}),
    )


def prompt_rows(decisions: EverydayDecisions) -> list[PromptRow]:
    """Return one row for each prompt that a lane could answer."""
    best = best_row(decisions)
    weak_quality = decisions.quality[:, weak_rows(decisions, best)].mean(axis=1)
    median_quality = np.median(decisions.quality, axis=1)
    return [
        PromptRow(
            id=prompt.id,
            kind=prompt.kind,
            level=prompt.level,
            least_tokens=prompt.least_tokens,
            most_tokens=prompt.most_tokens,
            visible_tokens=float(decisions.visible_tokens[place, chosen]),
            reasoning_tokens=float(decisions.reasoning_tokens[place, chosen]),
            prompt_tokens=int(decisions.prompt_tokens[place]),
            difficulty=float(decisions.difficulty[place]),
            lane=decisions.lanes[chosen].lane_id,
            model=decisions.lanes[chosen].vendor_model,
            quality=float(decisions.quality[place, chosen]),
            cost_usd=float(decisions.cost_usd[place, chosen]),
            best_quality=float(decisions.quality[place, best]),
            best_cost_usd=float(decisions.cost_usd[place, best]),
            weak_quality=float(weak_quality[place]),
            median_quality=float(median_quality[place]),
        )
        for place, (prompt, chosen) in enumerate(zip(decisions.prompts, decisions.chosen.tolist(), strict=True))
    ]


def best_row(decisions: EverydayDecisions) -> int:
    """Return the lane with the highest mean quality, of equals the cheapest.

    Only lanes that can answer as many prompts as any other count.
    """
    mean_quality, mean_cost = decisions.quality.mean(axis=0), decisions.cost_usd.mean(axis=0)
    candidates = np.flatnonzero(_can_answer_most(decisions)).tolist()
    return int(min(candidates, key=lambda row: (-mean_quality[row], mean_cost[row], decisions.lanes[row].lane_id)))


def weak_rows(decisions: EverydayDecisions, best: int) -> Rows:
    """Return the cheapest tenth of the lanes by mean cost, at least one; the best lane only if there is no other."""
    mean_cost = decisions.cost_usd.mean(axis=0)
    candidates = [row for row in np.flatnonzero(_can_answer_most(decisions)).tolist() if row != best] or [best]
    ranked = sorted(candidates, key=lambda row: (mean_cost[row], decisions.lanes[row].lane_id))
    return np.array(ranked[: max(round(CHEAPEST_SHARE * len(ranked)), 1)], np.intp)


def _can_answer_most(decisions: EverydayDecisions) -> Mask:
    n_prompts = decisions.is_eligible.sum(axis=0)
    return np.asarray(n_prompts == n_prompts.max(), np.bool_)


def _lead(row: PromptRow) -> float:
    return row.best_quality - row.weak_quality


def _grows(pairs: Sequence[tuple[PromptRow, PromptRow]], number: Callable[[PromptRow], float]) -> float | None:
    """Return the share of the pairs in which the hard prompt has the larger number."""
    return _mean(number(hard) > number(easy) for easy, hard in pairs)


def _mean(numbers: Iterable[float]) -> float | None:
    values = list(numbers)
    return float(np.mean(values)) if values else None


def _median(numbers: Iterable[float]) -> float | None:
    values = list(numbers)
    return float(np.median(values)) if values else None
