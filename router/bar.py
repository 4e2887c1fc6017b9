"""The relative bar: how little a good answer may be worth so that the lanes together still keep a share of the best one's quality.

No single request can keep "95% of the best": some answers are worse and others better. What can be kept is the mean, so the bar is
solved once for a set of lanes, their prices and the bundle's reference answers, and each request is then routed at the willingness to pay that
came out. The smaller that is, the cheaper the routing and the lower its quality; it is lowered step by step for as long as the share is kept
with confidence, each step being tested before the next is looked at, so that many steps need no correction (fixed-sequence testing; Angelopoulos,
Bates, Candes, Jordan and Lei 2021, "Learn then Test: Calibrating predictive algorithms to achieve risk control").
"""

from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from router.expectation import believe_of_lanes
from router.lane_table import Floats, LaneTable
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
_SHARE_DIGITS = 3

Mask = npt.NDArray[np.bool_]


class Bar:
    """Solves relative bars for a table of lanes; each set of eligible lanes once.

    Args:
        table: The lanes.
        read_reference: Reads the bundle's reference answers; called when the first bar is asked for, as most callers never do.
    """

    def __init__(self, table: LaneTable, read_reference: Callable[[], ReferenceAnswers]) -> None:
        self._beliefs = cache(lambda: LaneReference(table, read_reference()))
        self._solved = lru_cache(_CACHED_SETS)(self._solve)

    def willingness_to_pay_usd(self, is_eligible: Mask, share: float) -> float:
        """Return what a good answer has to be worth so that these lanes keep `share` of the best one's mean score, USD.

        Over `HORIZON_REQUESTS` prompts like the reference ones, with confidence `CONFIDENCE`; where they cannot, as much as they can.

        Args:
            is_eligible: Shape (n_lanes,), at least one.
            share: 0..1; three digits count.
        """
        return self._solved(is_eligible.tobytes(), round(share, _SHARE_DIGITS))

    def _solve(self, eligible: bytes, share: float) -> float:
        beliefs, lanes = self._beliefs(), np.flatnonzero(np.frombuffer(eligible, np.bool_))
        groups = telling_groups(beliefs.is_graded[:, lanes], beliefs.source)
        quality, cost, score = (values[:, lanes] for values in (beliefs.quality, beliefs.cost_usd, beliefs.score))
        return solve_willingness_to_pay(quality, cost, score, groups, share)


class LaneReference:
    """The reference answers as columns of lanes, each (n_prompts, n_lanes); what was not graded is scored as it is believed."""

    def __init__(self, table: LaneTable, reference: ReferenceAnswers) -> None:
        typical = reference.completion_tokens.mean(axis=1, keepdims=True).astype(np.float64)
        difficulty = reference.difficulty[:, None].astype(np.float64)
        self.quality, _, self.completion_tokens = believe_of_lanes(
            table, reference.quality, reference.quality, reference.completion_tokens, difficulty, typical
        )
        self.cost_usd = (
            reference.prompt_tokens[:, None] * table.input_usd_per_token
            + self.completion_tokens * table.output_usd_per_token
            + table.request_usd
        )
        graded = np.where(table.has_prior_only, np.nan, reference.score.take(table.trained_index, axis=1))
        self.is_graded = ~np.isnan(graded)
        self.score = np.where(self.is_graded, graded, self.quality)
        self.source = reference.source


def telling_groups(is_graded: Mask, source: npt.NDArray[np.uint16]) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each source on which most lanes were graded; where there is none, all rows as one group."""
    groups = [np.flatnonzero(source == name) for name in np.unique(source)]
    telling = [rows for rows in groups if len(rows) >= _FEWEST_PROMPTS and is_graded[rows].mean() >= _GRADED_SHARE]
    return telling or [np.arange(len(source))]


def solve_willingness_to_pay(
    quality: Floats, cost_usd: Floats, score: Floats, groups: list[npt.NDArray[np.intp]], share: float
) -> float:
    """Return the last step of `LADDER_USD` up to which every group keeps `share` of its best lane's mean score.

    Where not even quality alone does for sure, the step that keeps most, as dear lanes are no use for being dear.

    Args:
        quality, cost_usd, score: Shape (n, n_lanes); beliefs and, of the same prompts, grades.
        groups: Rows; each has to keep the share by itself, as nobody knows which kind the next prompts will be.
        share: 0..1.
    """
    wanted = [share * score[rows, int(score[rows].mean(axis=0).argmax())] for rows in groups]

    def least_surplus(worth: float, quantile: float) -> float:
        chosen = (worth * quality - cost_usd).argmax(axis=1)
        return min(_lower_bound(score[rows, chosen[rows]] - least, quantile) for rows, least in zip(groups, wanted, strict=True))

    kept = None
    for worth in LADDER_USD:
        if least_surplus(worth, _NORMAL_QUANTILE) < 0:
            break
        kept = worth
    if kept is None:
        kept = max(reversed(LADDER_USD), key=lambda worth: least_surplus(worth, 0.0))
    return float(kept)


def _lower_bound(surplus: Floats, quantile: float) -> float:
    spread = surplus.std() * np.sqrt(1 / len(surplus) + 1 / HORIZON_REQUESTS)
    return float(surplus.mean() - quantile * spread)
