"""Separates signals that say how good an answer was from checks that only find faults.

A check without a finding says little about an answer, and says the same for all lanes. Averaged with thumbs, it makes
all lanes look alike. Learning and judging policies use only signals that tell good answers from bad ones.
"""

from collections.abc import Mapping
from types import MappingProxyType

from router.reward import REWARD_RULES, RewardRule

_SAYS_GOOD = 0.9


def judgement_rules(rules: Mapping[str, RewardRule] = REWARD_RULES) -> Mapping[str, RewardRule]:
    """Return the rules of the metrics that can say that an answer was good.

    These are thumbs, scores, ratings and judges, but not automatic checks.
    """
    return MappingProxyType({name: rule for name, rule in rules.items() if rule.best_quality >= _SAYS_GOOD})
