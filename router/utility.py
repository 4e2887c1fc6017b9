"""Utility in US dollars: what an answer is expected to be worth, less what it is expected to cost."""

from router.arrays import Floats
from router.expectation import Expectation


def utility_usd(expectation: Expectation, willingness_to_pay_usd: float, latency_usd_per_s: float = 0.0) -> Floats:
    """Return willingness to pay x P(good) - cost - latency penalty, in USD, shape (n_lanes,).

    Args:
        expectation: Beliefs about each lane.
        willingness_to_pay_usd: What a good answer is worth, USD.
        latency_usd_per_s: What a second of waiting costs, USD.
    """
    utility = willingness_to_pay_usd * expectation.quality - expectation.cost_usd
    if latency_usd_per_s:
        utility = utility - latency_usd_per_s * expectation.latency_ms / 1_000
    return utility
