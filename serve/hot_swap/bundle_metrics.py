"""Which bundle stands where, for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serve.hot_swap.bundle_follower import BundleFollower


class BundleMetrics(Collector):
    """Collects the bundles at work when somebody asks.

    Args:
        bundles: Knows them.
    """

    def __init__(self, bundles: BundleFollower) -> None:
        self._bundles = bundles

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge, always 1, labelled by what is at work."""
        gauge = GaugeMetricFamily("llmdeal_bundle_info", "1 for each bundle at work.", labels=["stage", "version"])
        for stage, live in self._bundles.at_work().items():
            gauge.add_metric([stage, live.generation.version], 1)
        yield gauge
