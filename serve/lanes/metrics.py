"""The state of the lanes for Prometheus; it is read when a scrape asks for it, and costs nothing in between."""

from collections.abc import Callable, Iterator, Sequence
from math import isclose

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from serve.identity.names import qualified
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneDirectory
from serve.lanes.health import LaneVitals
from serve.lanes.refused_parameters import RefusedParameters

_GAUGES: dict[str, tuple[str, Callable[[LaneVitals], float | None]]] = {
    "llmdeal_lane_ttft_seconds": (
        "Expected time to first token; the recent past counts most.",
        lambda vitals: vitals.ttft_ms / 1_000,
    ),
    "llmdeal_lane_seconds_per_token": (
        "Expected time per output token.",
        lambda vitals: vitals.ms_per_token / 1_000,
    ),
    "llmdeal_lane_error_rate": (
        "Share of recent attempts that failed, 0 to 1.",
        lambda vitals: vitals.error_rate,
    ),
    "llmdeal_lane_requests_left": (
        "Requests left of the account's limit; absent: not known.",
        lambda vitals: vitals.requests_left,
    ),
    "llmdeal_lane_tokens_left": (
        "Tokens left of the account's limit; absent: not known.",
        lambda vitals: vitals.tokens_left,
    ),
}
_REST_HELP = "How long a lane still rests after a limit or a failure, at every effort of reasoning; 0: it does not."
_SHIFT_HELP = "What was learned online of a lane's log odds of a good answer, beyond the bundle; absent: nothing."


class LaneMetrics(Collector):
    """Collects the state of all lanes.

    Lanes that answer only requests naming them appear once they were asked.

    Args:
        directories: Lanes for answers and for vectors. A lane of the operator is labelled `lane`, a lane of another
            account `account/lane`.
    """

    def __init__(self, directories: Sequence[LaneDirectories]) -> None:
        self._directories = directories

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge per figure, labelled by lane."""
        vitals = [
            (qualified(account, lane_id, DEFAULT_ACCOUNT), vital)
            for directories in self._directories
            for account, directory in list(directories.by_account().items())
            for lane_id, vital in _shown_vitals(directory)
        ]
        for name, (description, figure) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, description, labels=["lane"])
            for lane_id, vital in vitals:
                if (value := figure(vital)) is not None:
                    gauge.add_metric([lane_id], value)
            yield gauge
        yield self._rests()
        yield self._shifts()

    def _rests(self) -> GaugeMetricFamily:
        """Return one figure for all efforts of a lane, because they rest together."""
        gauge = GaugeMetricFamily("llmdeal_lane_rest_seconds", _REST_HELP, labels=["lane"])
        for directories in self._directories:
            for account, directory in list(directories.by_account().items()):
                rests: dict[str, float] = {}
                for lane_id, vitals in _shown_vitals(directory):
                    base_id = directory.table.lanes[directory.table.index_of[lane_id]].base_id
                    rests[base_id] = max(rests.get(base_id, 0.0), vitals.rests_for_s)
                for base_id, rest_s in rests.items():
                    gauge.add_metric([qualified(account, base_id, DEFAULT_ACCOUNT)], rest_s)
        return gauge

    def _shifts(self) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily("llmdeal_lane_quality_shift", _SHIFT_HELP, labels=["lane", "router_version"])
        for directories in self._directories:
            for account, directory in list(directories.by_account().items()):
                for version, shifts in list(directory.quality_shifts.items()):
                    for lane_id, shift in zip(directory.table.lane_ids, shifts.tolist(), strict=True):
                        gauge.add_metric([qualified(account, lane_id, DEFAULT_ACCOUNT), version], shift)
        return gauge


class RefusedParameterMetrics(Collector):
    """Collects the parameters that models refuse.

    Args:
        refused_parameters: Memory of them.
    """

    def __init__(self, refused_parameters: RefusedParameters) -> None:
        self._refused_parameters = refused_parameters

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge, labelled by provider, model and parameter."""
        text = "How long a model is still passed over for requests with a parameter that it refused."
        labels = ["provider", "model", "parameter"]
        gauge = GaugeMetricFamily("llmdeal_refused_parameter_seconds", text, labels=labels)
        for entry in self._refused_parameters.entries():
            gauge.add_metric([entry.provider, entry.upstream_model, entry.parameter], entry.passed_over_for_s)
        yield gauge


def _shown_vitals(directory: LaneDirectory) -> Iterator[tuple[str, LaneVitals]]:
    """Yield the lanes that policies may choose, and the others once an answer was timed or failed there.

    A gauge for each of 1,000 lanes that no request asks would only make every scrape long.
    """
    table, n_choosable = directory.table, len(directory.choosable)
    typical = table.typical_ttft_ms.tolist()
    for row, vitals in enumerate(directory.health.vitals()):
        was_asked = vitals.rests_for_s or vitals.error_rate or not isclose(vitals.ttft_ms, typical[row])
        if row < n_choosable or was_asked:
            yield table.lane_ids[row], vitals
