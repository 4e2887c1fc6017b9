"""The estimators by name. A new one needs a file next to this one and a line here."""

from collections.abc import Mapping
from types import MappingProxyType

from training.off_policy.estimators.direct_method import DirectMethod
from training.off_policy.estimators.doubly_robust import DoublyRobust
from training.off_policy.estimators.inverse_propensity import InversePropensity
from training.off_policy.estimators.port import Estimator
from training.off_policy.estimators.self_normalised import SelfNormalised
from training.off_policy.estimators.switch import SwitchDoublyRobust

ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        "ips": InversePropensity(),
        "snips": SelfNormalised(),
        "dm": DirectMethod(),
        "dr": DoublyRobust(),
        "switch-dr": SwitchDoublyRobust(),
    }
)
