"""Why a lane was chosen: the values of `x-llmdeal-reason`. Reasons that a policy gives live with the policy."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason that callers see and logs hold.

    Args:
        value: One word, as in headers and logs.
        explanation: The same for people, as the dashboard shows it.
        is_final: True when no other reason may replace it. Otherwise the decision says `only_candidate` or `affinity`
            where that explains more.
    """

    value: str
    explanation: str
    is_final: bool = False


ONLY_CANDIDATE: Final = Reason("only_candidate", "the only lane that could answer")
AFFINITY: Final = Reason("affinity", "its prompt cache holds the conversation")
EXPLORED: Final = Reason("explored", "drawn to learn about it")
FALLBACK_RATE_LIMITED: Final = Reason("fallback_rate_limited", "the lane before it had reached a limit")
FALLBACK_ERROR: Final = Reason("fallback_error", "the lane before it failed")
FALLBACK_SLOW: Final = Reason("fallback_slow", "the lane before it was slow to begin")
FALLBACK_BUDGET: Final = Reason("fallback_budget", "the budget of the lane before it was spent")
ROUTER_UNAVAILABLE: Final = Reason("router_unavailable", "the quality model failed, so cost alone decided")

REASONS_OF_NO_POLICY: Final = (
    ONLY_CANDIDATE,
    AFFINITY,
    EXPLORED,
    FALLBACK_RATE_LIMITED,
    FALLBACK_ERROR,
    FALLBACK_SLOW,
    FALLBACK_BUDGET,
    ROUTER_UNAVAILABLE,
)
"""The reasons that the gateway gives itself, whatever the policy."""
