"""Puts exploration around the policy of a request, and counts what it costs."""

import math

from router.decision import Decision
from router.policies.base import Policy
from router.policies.exploring import ExplorationTerms, Exploring
from router.price_table import NUSD_PER_USD
from serve.metrics import Metrics
from serve.routing.exploration.exploration_budget import ExplorationBudget


class Explorer:
    """Explores within the budget. It is on the hot path.

    Args:
        terms: Limits of exploration.
        budget: Budget that explored requests are paid from.
        metrics: Counters of explored requests.
    """

    def __init__(self, terms: ExplorationTerms, budget: ExplorationBudget, metrics: Metrics) -> None:
        self.terms = terms
        self.budget = budget
        self._metrics = metrics

    def around(self, policy: Policy) -> Policy:
        """Return the policy with exploration around it, or the policy itself when the budget is spent."""
        left_nusd = self.budget.left_nusd()
        return Exploring(policy, self.terms, left_nusd) if left_nusd else policy

    def note(self, decision: Decision) -> None:
        """Count an explored decision. Call it before the next decision is taken."""
        assert decision.exploration_prices_usd is not None, "it was explored"
        price_usd = float(decision.exploration_prices_usd[decision.order[0]])
        self.budget.spend(math.ceil(price_usd * NUSD_PER_USD))
        self._metrics.note_explored(price_usd)
