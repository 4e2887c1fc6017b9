"""Which signals tell how good an answer was, and which only that nothing was found wrong with it.

That a check found nothing says little of an answer, and the same of every lane's: averaged with thumbs it draws all lanes together. Learning may use every signal, by its
precision; to judge policies, only signals that know good answers from bad ones are taken.
"""

from collections.abc import Mapping
from types import MappingProxyType

from router.reward import REWARD_RULES, RewardRule

_SAYS_GOOD = 0.9


def judgement_rules(rules: Mapping[str, RewardRule] = REWARD_RULES) -> Mapping[str, RewardRule]:
    """Return the rules of the metrics whose best value says that an answer was good: thumbs, scores, ratings, judges; not automatic checks."""
    return MappingProxyType({name: rule for name, rule in rules.items() if rule.best_quality >= _SAYS_GOOD})
