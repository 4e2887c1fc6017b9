"""What decides a retraining besides the data; the defaults were chosen on the shipped corpus, see docs/retraining.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.policies.best_value import DEFAULT_WILLINGNESS_TO_PAY_USD
from router.reward import RewardRule, read_reward_rules
from training.account_correction.fitting import FEWEST_ANSWERS
from training.errors import SettingsError
from training.retrain.continuing import ContinueSettings
from training.retrain.defaults import DEFAULT_HALF_LIFE_DAYS


@dataclass(frozen=True, slots=True)
class RetrainSettings:
    """See the module's text.

    Args:
        seed: Same inputs, same seed: same bundle.
        value_usd: What a good answer is worth to a caller who did not say, USD; the gate weighs quality by it.
        calibrate_share, test_share: Of the conversations, the later ones: for choosing and calibrating, and the latest for judging.
        largest_weight: A reward counts 1 / propensity times, but no more than so many times.
        half_life_days: A reward counts half as much for each so many days that its request is older than the latest; 0: age does not matter.
        fewest_rewards: With fewer judged requests to learn from, nothing is fitted.
        fewest_of_new: A model that the champion does not know gets a head of its own from so many rewards on.
        fewest_with_text: The network is fitted on from so many judged requests with text on.
        corrects_accounts: Whether accounts get corrections of their own.
        fewest_of_account: An account gets one from so many judged answers with text on.
        metrics: Of your own that count, too, as `router.reward.read_reward_rules` takes them.
        continuing: How the network is fitted on.
        rows_per_part: Requests that are read, encoded and checkpointed at once.
    """

    seed: int = 0
    value_usd: float = DEFAULT_WILLINGNESS_TO_PAY_USD
    calibrate_share: float = 0.15
    test_share: float = 0.25
    largest_weight: float = 5.0
    half_life_days: float = DEFAULT_HALF_LIFE_DAYS
    fewest_rewards: int = 200
    fewest_of_new: int = 15
    fewest_with_text: int = 500
    corrects_accounts: bool = True
    fewest_of_account: int = FEWEST_ANSWERS
    metrics: tuple[str, ...] = ()
    continuing: ContinueSettings = field(default_factory=ContinueSettings)
    rows_per_part: int = 25_000

    @property
    def reward_rules(self) -> Mapping[str, RewardRule]:
        """How every metric that counts measures the quality of an answer."""
        return read_reward_rules(self.metrics)

    def __post_init__(self) -> None:
        read_reward_rules(self.metrics)  # what is malformed is said at once
        if not (min(self.calibrate_share, self.test_share) > 0 and self.calibrate_share + self.test_share < 0.9):
            raise SettingsError("the shares for calibrating and judging must be above 0 and together below 0.9")
        if not self.half_life_days >= 0:
            raise SettingsError(f"--half-life {self.half_life_days:g}: give days, or 0 for rewards that never fade")
        if not self.value_usd > 0:
            raise SettingsError(f"--value {self.value_usd:g}: give what a good answer is worth, in USD above 0")
