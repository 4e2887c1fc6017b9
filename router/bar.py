"""The relative bar: the cheapest rule by which the lanes together still keep a share of the best one's quality.

No single request can keep "95% of the best": some answers are worse and others better. What can be kept is the mean, so the bar is
solved once for a set of lanes, their prices and the bundle's reference answers, and each request is then routed at the willingness to pay that
came out. The smaller that is, the cheaper the routing and the lower its quality; it is lowered step by step for as long as the share is kept
with confidence, each step being tested before the next is looked at, so that many steps need no correction (fixed-sequence testing; Angelopoulos,
Bates, Candes, Jordan and Lei 2021, "Learn then Test: Calibrating predictive algorithms to achieve risk control"). Where no step can be
trusted to, or only one that is dearer than it, one lane answers everything: the best.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from router.arrays import Floats, Mask, Rows
from router.expectation import believe_of_lanes
from router.lane_table import LaneTable
from router.reference_answers import ReferenceAnswers

CONFIDENCE = 0.9
HORIZON_REQUESTS = 500
"""The bar is kept over so many requests, their own luck included, not merely in the long run."""
QUALITY_ALONE_USD = 1e6
"""A willingness to pay at which cost only breaks ties."""
LADDER_USD: Floats = np.concatenate([[QUALITY_ALONE_USD], np.logspace(2, -7, 91)])
"""The steps, from quality alone to cost alone."""
_NORMAL_QUANTILE = 1.2816  # of CONFIDENCE
_GRADED_SHARE = 0.5
"""A source counts when at least this share of the lanes was graded on it."""
_FEWEST_PROMPTS = 100
_CACHED_SETS = 256
_PREPARED_SETS = 32
_SHARE_DIGITS = 3


@dataclass(frozen=True, slots=True)
class BarRule:
    """How requests are routed so that a share of the best lane's quality is kept.

    Args:
        willingness_to_pay_usd: What a good answer counts as worth when quality is weighed against cost, USD.
        lane: Row of the one lane that answers everything, where weighing would not keep the share; None: weigh.
    """

    willingness_to_pay_usd: float
    lane: int | None = None

    def choose(self, quality: Floats, cost_usd: Floats) -> Rows:
        """Return the lane for each prompt, shape (n,), from beliefs of shape (n, n_lanes)."""
        if self.lane is not None:
            return np.full(len(quality), self.lane, np.intp)
        return np.asarray((self.willingness_to_pay_usd * quality - cost_usd).argmax(axis=1), np.intp)


class Bar:
    """Solves relative bars for a table of lanes; each set of eligible lanes once.

    Args:
        table: The lanes.
        read_reference: Reads the bundle's reference answers; called when the first bar is asked for, as most callers never do.
    """

    def __init__(self, table: LaneTable, read_reference: Callable[[], ReferenceAnswers]) -> None:
        self._beliefs = cache(lambda: LaneReference(table, read_reference()))
        self._rules: dict[tuple[bytes, float], BarRule] = {}

    def rule(self, is_eligible: Mask, share: float) -> BarRule:
        """Return the cheapest rule by which these lanes keep `share` of the best one's mean score; its lane is a row of the whole table.

        Over `HORIZON_REQUESTS` prompts like the reference ones, with confidence `CONFIDENCE`; where they cannot, as much as they can.

        Args:
            is_eligible: Shape (n_lanes,), at least one.
            share: 0..1; three digits count.
        """
        asked = (is_eligible.tobytes(), round(share, _SHARE_DIGITS))
        rule = self._rules.get(asked)
        if rule is None:
            rule = self._solve(*asked)
            while len(self._rules) >= _CACHED_SETS:
                del self._rules[next(iter(self._rules))]
            self._rules[asked] = rule
        return rule

    def prepare_like(self, former: "Bar") -> None:
        """Solve what another bar of the same rows was asked for most recently, so that no request waits for it here."""
        for asked in list(former._rules)[-_PREPARED_SETS:]:
            self._rules[asked] = self._solve(*asked)

    def _solve(self, eligible: bytes, share: float) -> BarRule:
        beliefs, lanes = self._beliefs(), np.flatnonzero(np.frombuffer(eligible, np.bool_))
        groups = telling_groups(beliefs.is_graded[:, lanes], beliefs.source)
        quality, cost, score = (values[:, lanes] for values in (beliefs.quality, beliefs.cost_usd, beliefs.score))
        rule = solve_bar(quality, cost, score, groups, share)
        return rule if rule.lane is None else replace(rule, lane=int(lanes[rule.lane]))


class LaneReference:
    """The reference answers as columns of lanes, each (n_prompts, n_lanes); what was not graded is scored as it is believed."""

    def __init__(self, table: LaneTable, reference: ReferenceAnswers) -> None:
        typical = reference.completion_tokens.mean(axis=1, keepdims=True).astype(np.float64)
        difficulty = reference.difficulty[:, None].astype(np.float64)
        self.quality, _, self.completion_tokens = believe_of_lanes(
            table, reference.quality, reference.quality, reference.completion_tokens, difficulty, typical
        )
        rates = table.rates[0]  # reference prompts are short
        self.cost_usd = (
            reference.prompt_tokens[:, None] * rates.input_usd_per_token
            + self.completion_tokens * rates.output_usd_per_token
            + table.request_usd
        )
        graded = np.where(table.has_prior_only, np.nan, reference.score.take(table.trained_index, axis=1))
        self.is_graded = ~np.isnan(graded)
        self.score = np.where(self.is_graded, graded, self.quality)
        self.source = reference.source


def telling_groups(is_graded: Mask, source: npt.NDArray[np.uint16]) -> list[Rows]:
    """Return the rows of each source on which most lanes were graded; where there is none, all rows as one group."""
    groups = [np.flatnonzero(source == name) for name in np.unique(source)]
    telling = [rows for rows in groups if len(rows) >= _FEWEST_PROMPTS and is_graded[rows].mean() >= _GRADED_SHARE]
    return telling or [np.arange(len(source))]


def solve_bar(quality: Floats, cost_usd: Floats, score: Floats, groups: list[Rows], share: float) -> BarRule:
    """Return the cheapest rule by which every group keeps `share` of its best lane's mean score.

    That is the last step of `LADDER_USD` up to which all do, or the lane that keeps most by itself, where that one does and is cheaper. Where
    neither does for sure, the rule that comes closest.

    Args:
        quality, cost_usd, score: Shape (n, n_lanes); beliefs and, of the same prompts, grades.
        groups: Rows; each has to keep the share by itself, as nobody knows which kind the next prompts will be.
        share: 0..1.
    """
    wanted = [share * score[rows, int(score[rows].mean(axis=0).argmax())] for rows in groups]

    def least_surplus(rule: BarRule) -> float:
        chosen = rule.choose(quality, cost_usd)
        return min(_lower_bound(score[rows, chosen[rows]] - least) for rows, least in zip(groups, wanted, strict=True))

    def mean_cost(rule: BarRule) -> float:
        return float(cost_usd[np.arange(len(cost_usd)), rule.choose(quality, cost_usd)].mean())

    steps = [BarRule(float(worth)) for worth in LADDER_USD]
    keeping = list(takewhile(lambda rule: least_surplus(rule) >= 0, steps))
    lanes = (BarRule(QUALITY_ALONE_USD, lane) for lane in range(quality.shape[1]))
    alone = max(lanes, key=lambda rule: (least_surplus(rule), -mean_cost(rule)))
    kept = keeping[-1:] + [alone] * (least_surplus(alone) >= 0)
    return min(kept, key=mean_cost) if kept else max([alone, *reversed(steps)], key=least_surplus)


def _lower_bound(surplus: Floats) -> float:
    spread = surplus.std() * np.sqrt(1 / len(surplus) + 1 / HORIZON_REQUESTS)
    return float(surplus.mean() - _NORMAL_QUANTILE * spread)
