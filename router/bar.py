"""The relative bar: the cheapest rule by which the lanes together still keep a share of the best lane's quality.

No single request can keep "95% of the best": some answers are worse and others better. What can be kept is the mean. So
the bar is solved once for a set of lanes, their prices and the bundle's reference answers. Each request is then routed
at the willingness to pay that came out.

The smaller the willingness to pay, the cheaper the routing and the lower its quality. It is lowered step by step for as
long as the share is kept with confidence. Each step is tested before the next one is looked at, so many steps need no
correction (fixed-sequence testing; Angelopoulos, Bates, Candes, Jordan and Lei 2021, "Learn then Test: Calibrating
predictive algorithms to achieve risk control"). If no step keeps the share with confidence, or if the best lane alone
is cheaper than the steps that do, the best lane answers everything.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from router.arrays import Floats, Mask, Rows
from router.expectation import believe_of_lanes, shift_quality
from router.lane_table import LaneTable
from router.reference_answers import ReferenceAnswers

CONFIDENCE = 0.9
HORIZON_REQUESTS = 500
"""The bar is kept over this many requests, including the chance in their own answers, not only in the long run."""
QUALITY_ALONE_USD = 1e6
"""A willingness to pay at which cost only breaks ties."""
LADDER_USD: Floats = np.concatenate([[QUALITY_ALONE_USD], np.logspace(2, -7, 91)])
"""The steps, from quality alone to cost alone."""
_NORMAL_QUANTILE = 1.2816
"""Quantile of the normal distribution at `CONFIDENCE`."""
_GRADED_SHARE = 0.5
"""A source of prompts counts when at least this share of the lanes' answers to it was graded."""
_FEWEST_PROMPTS = 100
_CACHED_SETS = 256
_PREPARED_SETS = 32
_PREPARED_SHIFTED_SETS = 8
SHIFT_STEP = 0.5
"""Shifts of lanes count in these steps of log odds, rounded towards 0. A smaller shift is within its own deviation."""
_LARGEST_STEP = 100
_SHARE_DIGITS = 3

AskedBar = tuple[bytes, float, bytes]
"""A bar's name: the eligible lanes as bytes, the share to keep, and the shifts of the lanes in steps."""


@dataclass(frozen=True, slots=True)
class BarRule:
    """A rule that routes requests so that a share of the best lane's quality is kept.

    Args:
        willingness_to_pay_usd: Worth of a good answer when quality is weighed against cost, USD.
        lane: Row of the one lane that answers everything, when weighing would not keep the share; None: weigh.
    """

    willingness_to_pay_usd: float
    lane: int | None = None

    def choose(self, quality: Floats, cost_usd: Floats) -> Rows:
        """Return the lane for each prompt, shape (n,), from beliefs of shape (n, n_lanes)."""
        if self.lane is not None:
            return np.full(len(quality), self.lane, np.intp)
        return np.asarray((self.willingness_to_pay_usd * quality - cost_usd).argmax(axis=1), np.intp)


class BarUnsolvedError(Exception):
    """A bar was looked up that is not solved yet.

    Args:
        bar: Solver of the bar.
        asked: Name of the bar.
    """

    def __init__(self, bar: "Bar", asked: AskedBar) -> None:
        super().__init__("this bar is not solved yet")
        self.bar = bar
        self.asked = asked


class Bar:
    """Solves relative bars for a table of lanes, once for each set of eligible lanes.

    Args:
        table: The lanes.
        read_reference: Function that reads the bundle's reference answers; called when the first bar is solved.
    """

    def __init__(self, table: LaneTable, read_reference: Callable[[], ReferenceAnswers]) -> None:
        self._beliefs = cache(lambda: LaneReference(table, read_reference()))
        self._rules: dict[AskedBar, BarRule] = {}

    def rule(self, is_eligible: Mask, share: float, shift: Floats | None = None) -> BarRule:
        """Return the cheapest rule by which these lanes keep `share` of the best lane's mean score.

        The rule keeps it over `HORIZON_REQUESTS` prompts like the reference prompts, with confidence `CONFIDENCE`. When
        no rule does, the one that comes closest is returned. The rule's lane is a row of the whole table.

        Args:
            is_eligible: Lanes that may answer, at least one, shape (n_lanes,).
            share: Share to keep, 0..1; three digits count.
            shift: Shift of each lane's log odds of a good answer since the bundle was trained, shape (n_lanes,). It
                moves beliefs and grades of the reference prompts, in steps of `SHIFT_STEP`. None: no shift.
        """
        asked = _asked(is_eligible, share, shift)
        rule = self._rules.get(asked)
        return rule if rule is not None else self._solved_and_kept(asked)

    def prepare_shift(self, shift: Floats | None) -> None:
        """Solve the latest bars for a new shift of the lanes, so that no request has to wait for them."""
        steps = _steps(shift)
        latest = dict.fromkeys((eligible, share) for eligible, share, _ in list(self._rules))
        for eligible, share in list(latest)[-_PREPARED_SHIFTED_SETS:]:
            if (eligible, share, steps) not in self._rules:
                self._solved_and_kept((eligible, share, steps))

    def solved(self) -> "SolvedBars":
        """Return these bars for a caller that must not wait: a bar that is not solved yet raises an error."""
        return SolvedBars(self)

    def solved_rule(self, asked: AskedBar) -> BarRule | None:
        """Return a rule that was solved before, or None."""
        return self._rules.get(asked)

    def solve(self, asked: AskedBar) -> BarRule:
        """Solve a bar without keeping it; several threads may do so at once. It takes 0.1 s for 300 lanes."""
        return self._solve(*asked)

    def keep(self, asked: AskedBar, rule: BarRule) -> None:
        """Keep a solved bar. Several threads may do so at once."""
        for old in list(self._rules)[: max(len(self._rules) + 1 - _CACHED_SETS, 0)]:
            self._rules.pop(old, None)  # another thread may have been quicker
        self._rules[asked] = rule

    def prepare_like(self, former: "Bar") -> None:
        """Solve the latest bars of another `Bar` with the same rows, so that no request has to wait for them here."""
        for asked in list(former._rules)[-_PREPARED_SETS:]:
            self._rules[asked] = self._solve(*asked)

    def _solved_and_kept(self, asked: AskedBar) -> BarRule:
        rule = self.solve(asked)
        self.keep(asked, rule)
        return rule

    def _solve(self, eligible: bytes, share: float, steps: bytes) -> BarRule:
        beliefs, lanes = self._beliefs(), np.flatnonzero(np.frombuffer(eligible, np.bool_))
        groups = graded_groups(beliefs.is_graded[:, lanes], beliefs.source)
        # `take` puts each prompt's lanes next to each other in memory. Over these, `argmax` is 25 times as fast.
        quality, cost = (values.take(lanes, axis=1) for values in (beliefs.quality, beliefs.cost_usd))
        score = beliefs.score[:, lanes]
        if steps:
            shift = np.frombuffer(steps, np.int8)[lanes].astype(np.float64) * SHIFT_STEP
            moved, _ = shift_quality(quality, np.zeros_like(quality), shift)
            quality, score = moved, score + (moved - quality)
        rule = solve_bar(quality, cost, score, groups, share)
        return rule if rule.lane is None else replace(rule, lane=int(lanes[rule.lane]))


class SolvedBars:
    """The solved bars of a table of lanes.

    Args:
        bar: Solver of the bars.
    """

    __slots__ = ("_bar",)

    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def rule(self, is_eligible: Mask, share: float, shift: Floats | None = None) -> BarRule:
        """Return the rule that `Bar.rule` returns.

        Raises:
            BarUnsolvedError: The bar is not solved yet; solve it in a thread, keep it and ask again.
        """
        asked = _asked(is_eligible, share, shift)
        rule = self._bar.solved_rule(asked)
        if rule is None:
            raise BarUnsolvedError(self._bar, asked)
        return rule


def _asked(is_eligible: Mask, share: float, shift: Floats | None) -> AskedBar:
    return is_eligible.tobytes(), round(share, _SHARE_DIGITS), _steps(shift)


def _steps(shift: Floats | None) -> bytes:
    """Return the shifts in steps, rounded towards 0, one byte a lane; empty: no lane is shifted by a step."""
    if shift is None:
        return b""
    steps = np.trunc(np.clip(shift / SHIFT_STEP, -_LARGEST_STEP, _LARGEST_STEP)).astype(np.int8)
    return steps.tobytes() if steps.any() else b""


class LaneReference:
    """The reference answers by lane, shape (n_prompts, n_lanes). Ungraded answers score as expected."""

    def __init__(self, table: LaneTable, reference: ReferenceAnswers) -> None:
        typical = reference.completion_tokens.mean(axis=1, keepdims=True).astype(np.float64)
        difficulty = reference.difficulty[:, None].astype(np.float64)
        beliefs = believe_of_lanes(
            table,
            reference.quality,
            np.zeros_like(reference.quality),  # deviations do not count here
            reference.completion_tokens,
            difficulty,
            typical,
            reference.demand,
        )
        self.quality, self.completion_tokens = beliefs.quality, beliefs.completion_tokens
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


def graded_groups(is_graded: Mask, source: npt.NDArray[np.uint16]) -> list[Rows]:
    """Return the rows of each source on which most lanes were graded; when there is none, all rows as one group."""
    groups = [np.flatnonzero(source == name) for name in np.unique(source)]
    graded = [rows for rows in groups if len(rows) >= _FEWEST_PROMPTS and is_graded[rows].mean() >= _GRADED_SHARE]
    return graded or [np.arange(len(source))]


def solve_bar(quality: Floats, cost_usd: Floats, score: Floats, groups: list[Rows], share: float) -> BarRule:
    """Return the cheapest rule by which every group keeps `share` of its best lane's mean score.

    That is the last step of `LADDER_USD` up to which every step keeps it, or the best lane alone, if it keeps it and is
    cheaper. When no rule keeps it with confidence, the rule that comes closest is returned.

    Args:
        quality, cost_usd, score: Beliefs about prompts, and grades of the same prompts, shape (n, n_lanes).
        groups: Rows of each group; every group has to keep the share, because the next prompts may be of any of them.
        share: Share to keep, 0..1.
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
