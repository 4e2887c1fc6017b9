"""Any policy of the gateway on logs: it ranks each request again, one after the other.

The policies that logs are most often asked about have the same rule for all requests at once, in `evaluation_policies`.
"""

from dataclasses import dataclass

import numpy as np

from router.context import Preferences
from router.expectation import Expectation
from router.policies.base import Candidates, Policy
from training.off_policy.evaluation_policies import Beliefs
from training.telemetry.logged_requests import Floats, LoggedRequests


@dataclass(frozen=True, slots=True)
class RankedPolicy:
    """A policy of `router.policies` that ranks the lanes of each request by the logged beliefs, or by others.

    Args:
        policy: Policy of the gateway, one that needs no reference answers.
        beliefs: Beliefs that take the place of the logged ones; None: the logged ones.
        title: Name for people; None: the policy's own.
    """

    policy: Policy
    beliefs: Beliefs | None = None
    title: str | None = None

    @property
    def name(self) -> str:
        """Name for people."""
        return self.title or self.policy.name

    @property
    def needs_text(self) -> bool:
        """Whether it can only be followed on requests whose text was kept."""
        return self.beliefs is not None

    def probabilities(self, logs: LoggedRequests) -> Floats:
        """Return the policy's probabilities; the logged ones where nothing is believed of any eligible lane."""
        believed = logs if self.beliefs is None else self.beliefs(logs)
        columns = [
            values.astype(np.float64)
            for values in (
                believed.quality,
                believed.quality_std,
                believed.completion_tokens,
                believed.expected_cost_usd,
                believed.expected_latency_ms,
            )
        ]
        is_candidate = logs.is_eligible & ~np.isnan([columns[0], *columns[3:]]).any(axis=0)
        probabilities = logs.probability.astype(np.float64)
        for row in np.flatnonzero(is_candidate.any(axis=1)):
            candidates = Candidates(
                is_candidate[row],
                None if logs.fallback_tier is None else logs.fallback_tier[row].astype(np.int64),
                Expectation(*(values[row] for values in columns)),
                _preferences(logs, row),
            )
            probabilities[row] = self.policy.rank(candidates).probabilities
        return probabilities


def _preferences(logs: LoggedRequests, row: np.intp) -> Preferences:
    wishes = (logs.quality_bar, logs.quality_of_best, logs.willingness_to_pay_usd)
    bar, share, worth = (None if wish is None or np.isnan(wish[row]) else float(wish[row]) for wish in wishes)
    return Preferences(quality_bar=bar, quality_of_best=share, willingness_to_pay_usd=worth)
