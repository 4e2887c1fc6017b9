"""The kinds of intervals by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from training.off_policy.intervals.cluster_bootstrap import ClusterBootstrap
from training.off_policy.intervals.confidence_sequence import ConfidenceSequence
from training.off_policy.intervals.conversations import Conversations, IntervalMaker
from training.off_policy.intervals.empirical_bernstein import EmpiricalBernstein

INTERVALS: Mapping[str, Callable[[Conversations, float], IntervalMaker]] = MappingProxyType(
    {
        "bootstrap": lambda conversations, level: ClusterBootstrap(conversations, level),
        "bernstein": lambda conversations, level: EmpiricalBernstein(conversations, level),
        "anytime": lambda conversations, level: ConfidenceSequence(conversations, level),
    }
)
