"""Puts exploration around the policy of a request, and counts what it gives up."""

import math

from router.decision import Decision
from router.policies.base import Policy
from router.policies.exploring import ExplorationTerms, Exploring
from router.price_table import NUSD_PER_USD
from serve.metrics import Metrics
from serve.routing.exploration.exploration_purse import ExplorationPurse


class Explorer:
    """Explores within the ceiling. On the hot path.

    Args:
        terms: How far exploration may go.
        purse: What may still be given up.
        metrics: What is counted.
    """

    def __init__(self, terms: ExplorationTerms, purse: ExplorationPurse, metrics: Metrics) -> None:
        self.terms = terms
        self.purse = purse
        self._metrics = metrics

    def around(self, policy: Policy) -> Policy:
        """Return the policy with exploration around it; itself where nothing is left to be given up."""
        left_nusd = self.purse.left_nusd()
        return Exploring(policy, self.terms, left_nusd) if left_nusd else policy

    def note(self, decision: Decision) -> None:
        """Count an explored decision; to be called before anything else is decided."""
        assert decision.exploration_prices_usd is not None, "it was explored"
        price_usd = float(decision.exploration_prices_usd[decision.order[0]])
        self.purse.spend(math.ceil(price_usd * NUSD_PER_USD))
        self._metrics.note_explored(price_usd)
