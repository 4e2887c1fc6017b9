"""Judging refusals in one worker: the table of `data/refusals.yaml`, and the memory of refused parameters."""

from dataclasses import dataclass

from serve.catalogue.refusal_rows import load_refusals
from serve.clock import Clock
from serve.lanes.metrics import RefusedParameterMetrics
from serve.lanes.refused_keys import RefusedKeys
from serve.lanes.refused_parameters import RefusedParameters
from serve.metrics import Metrics
from serve.packaged_files import data_dir
from serve.proxy.refusal_judge import RefusalJudge


@dataclass(frozen=True, slots=True)
class ConfiguredRefusals:
    """What one worker makes of refusals.

    Args:
        judge: Judge of refusals.
        parameters: Memory of the parameters that models refuse.
        keys: Memory of the provider keys that were refused.
    """

    judge: RefusalJudge
    parameters: RefusedParameters
    keys: RefusedKeys


def configured_refusals(clock: Clock, metrics: Metrics) -> ConfiguredRefusals:
    """Return the judge and its memories. That of refused parameters is shown in the metrics.

    Raises:
        ConfigurationError: `data/refusals.yaml` is malformed; the error names the line.
    """
    refused_parameters = RefusedParameters(clock.monotonic)
    metrics.registry.register(RefusedParameterMetrics(refused_parameters))
    refused_keys = RefusedKeys(clock.now)
    judge = RefusalJudge(load_refusals(data_dir() / "refusals.yaml"), refused_parameters, refused_keys)
    return ConfiguredRefusals(judge, refused_parameters, refused_keys)
