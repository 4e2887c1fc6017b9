"""Utility in US dollars: the expected worth of an answer, less its expected cost."""

from router.arrays import Floats
from router.expectation import Expectation


def utility_usd(expectation: Expectation, willingness_to_pay_usd: float, latency_usd_per_s: float = 0.0) -> Floats:
    """Return willingness to pay x P(good) - cost - latency penalty, in USD, shape (n_lanes,).

    Args:
        expectation: Beliefs about each lane.
        willingness_to_pay_usd: Worth of a good answer, USD.
        latency_usd_per_s: Cost of a second of waiting, USD.
    """
    utility = willingness_to_pay_usd * expectation.quality - expectation.cost_usd
    if latency_usd_per_s:
        utility = utility - latency_usd_per_s * expectation.latency_ms / 1_000
    return utility
