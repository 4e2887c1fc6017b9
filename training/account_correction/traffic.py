"""Replays a source of a corpus as an account's traffic, to measure how soon the account's correction beats the bundle.

- The bundle never saw the source (`outside`): nothing was trained on this account's kind of prompts.
- Requests are drawn with replacement from three quarters of the source's prompts.
- They are routed by the beliefs of that moment; a share of them tries a random lane. A few answers are judged.
- After each round the correction is fitted again to all answers judged so far. It is measured on the prompts that no
  request was drawn from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from router.log_odds import logit, sigmoid
from training.account_correction.hierarchy import SPREADS, AccountAnswers, Spreads, choose_spreads, fit_account
from training.account_correction.outside import OutsideBeliefs
from training.corpus.routing_measures import Floats, Pool, measure_curve, trace_curve
from training.telemetry.logged_requests import Ints

ROUNDS = (0, 200, 1_000, 3_000, 10_000, 30_000)
"""Total number of requests at the end of each round."""
JUDGED_SHARE = 0.05
WILLINGNESS_TO_PAY_USD = 0.01
_TRIED_SHARE = 0.1
_HELD_OUT_SHARE = 0.25
_MOST_FOR_SPREADS = 600
_GRADE_STD = 0.2
WAYS = ("bundle", "offsets", "own")
"""Not corrected; only offsets of the lanes; offsets and slopes, with spreads chosen by the evidence."""


@dataclass(frozen=True, slots=True)
class Point:
    """Measures of one way after some requests.

    Args:
        way: One of `WAYS`.
        seed: Seed of the traffic.
        n_requests, n_judged: Numbers of requests and of judged answers so far.
        log_loss: Log loss of P(good) on held-out prompts, mean over prompts and models, nats.
        gap_closed: Gap closed on held-out prompts, as `training.corpus.routing_measures` defines it.
        utility_usd: Mean of `WILLINGNESS_TO_PAY_USD` x score - cost over held-out prompts, each answered by the lane
            of highest expected utility.
    """

    way: str
    seed: int
    n_requests: int
    n_judged: int
    log_loss: float
    gap_closed: float
    utility_usd: float


def replay(
    outside: OutsideBeliefs, seed: int, rounds: Sequence[int] = ROUNDS, judged_share: float = JUDGED_SHARE
) -> list[Point]:
    """Return the points of one account, one for each way and round."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(outside.pool.rows))
    n_held_out = int(len(order) * _HELD_OUT_SHARE)
    held_out, asked = order[:n_held_out], order[n_held_out:]
    before = logit(outside.quality.astype(np.float32))
    points, judged = [], np.empty((0, 2), np.intp)
    correction = np.zeros((outside.quality.shape[1], outside.design.shape[1]))
    n_before = 0
    for n_requests in rounds:
        drawn = rng.choice(asked, n_requests - n_before)
        lanes = _routed(outside, drawn, correction, rng)
        is_judged = rng.random(len(drawn)) < judged_share
        judged = np.concatenate([judged, np.stack([drawn, lanes], axis=1)[is_judged]])
        n_before = n_requests
        corrections = _fitted(outside, before, judged)
        correction = corrections["own"]
        for way, fitted in corrections.items():
            measures = _measured(outside, before, held_out, fitted)
            points.append(Point(way, seed, n_requests, len(judged), *measures))
    return points


def _routed(outside: OutsideBeliefs, drawn: Ints, correction: Floats, rng: np.random.Generator) -> Ints:
    """Return the lane of each request: the one of highest expected utility, or a random one for a share of them."""
    pool = outside.pool.take(drawn)
    quality = _corrected(logit(outside.quality[drawn].astype(np.float32)), outside.design[drawn], correction)
    value = WILLINGNESS_TO_PAY_USD * quality - pool.believed_cost(outside.completion_tokens[drawn])
    lanes = value.argmax(axis=1)
    is_tried = rng.random(len(drawn)) < _TRIED_SHARE
    return np.where(is_tried, rng.integers(quality.shape[1], size=len(drawn)), lanes)


def _fitted(outside: OutsideBeliefs, before: Floats, judged: Ints) -> dict[str, Floats]:
    """Return way -> coefficients (m, k + 1)."""
    n_lanes, width = outside.quality.shape[1], outside.design.shape[1]
    nothing = np.zeros((n_lanes, width))
    if not len(judged):
        return dict.fromkeys(WAYS, nothing)
    rows, lanes = judged.T

    def fit(width: int, spreads: Spreads | None) -> Floats:
        def answers(chosen: slice) -> AccountAnswers:
            return AccountAnswers(
                outside.design[rows[chosen], :width],
                lanes[chosen],
                n_lanes,
                before[rows[chosen], lanes[chosen]],
                outside.pool.score[rows[chosen], lanes[chosen]],
                np.full(len(rows[chosen]), _GRADE_STD),
            )

        chosen = spreads or choose_spreads([answers(slice(-_MOST_FOR_SPREADS, None))])
        account_fit = fit_account(answers(slice(None)), chosen)
        padded = nothing.copy()
        padded[:, :width] = account_fit.shared + account_fit.own
        return padded

    return {
        "bundle": nothing,
        "offsets": fit(1, SPREADS),
        "own": fit(width, None),
    }


def _measured(outside: OutsideBeliefs, before: Floats, rows: Ints, correction: Floats) -> tuple[float, float, float]:
    """Return (log loss, gap closed, utility in USD) on these prompts."""
    pool: Pool = outside.pool.take(rows)
    quality = _corrected(before[rows], outside.design[rows], correction)
    sure = quality.clip(1e-4, 1 - 1e-4)
    log_loss = -float((pool.score * np.log(sure) + (1 - pool.score) * np.log(1 - sure)).mean())
    believed = pool.believed_cost(outside.completion_tokens[rows])
    chosen = (WILLINGNESS_TO_PAY_USD * quality - believed).argmax(axis=1)
    taken = np.arange(len(rows)), chosen
    utility = float((WILLINGNESS_TO_PAY_USD * pool.score[taken] - pool.cost[taken]).mean())
    gap = measure_curve(pool, trace_curve(quality, believed, pool.score, pool.cost))["gap_closed"]
    return log_loss, gap, utility


def _corrected(log_odds: Floats, design: Floats, correction: Floats) -> Floats:
    return sigmoid(log_odds + (design @ correction.T).clip(-3, 3))


def replay_all(
    outside: OutsideBeliefs, seeds: Sequence[int], advance: Callable[[], None] = lambda: None
) -> list[Point]:
    """Return the points of several accounts with prompts of the same source; `advance` is called after each account."""
    points = []
    for seed in seeds:
        points += replay(outside, seed)
        advance()
    return points
