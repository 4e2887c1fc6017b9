"""Settings of a retraining. The defaults were chosen on the shipped corpus; see docs/retraining.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router.policies.best_value import DEFAULT_WILLINGNESS_TO_PAY_USD
from router.reward import RewardRule, read_reward_rules
from training.account_correction.fitting import FEWEST_ANSWERS
from training.errors import SettingsError
from training.off_policy.signals import judgement_rules
from training.retrain.continuing import ContinueSettings
from training.retrain.defaults import DEFAULT_HALF_LIFE_DAYS


@dataclass(frozen=True, slots=True)
class RetrainSettings:
    """Everything besides the data that decides the result of a retraining.

    Args:
        seed: Seed of all random draws; the same inputs and seed give the same bundle.
        value_usd: Value of a good answer if the caller did not state one, USD; the gate weighs quality by it.
        calibrate_share, test_share: Shares of the conversations for calibrating and for the test. The latest ones are
            for the test, the ones before them for calibrating.
        largest_weight: Largest factor by which a reward counts for being rare; the factor is 1 / propensity.
        half_life_days: Age, relative to the latest request, at which a reward counts half as much, in days; 0: age does
            not matter.
        fewest_rewards: Smallest number of judged requests to learn from; with fewer, nothing is fitted.
        fewest_of_new: Smallest number of rewards with which a new model gets a head of its own.
        fewest_with_text: Smallest number of judged requests with text with which the network is fine-tuned.
        corrects_accounts: Whether accounts get corrections of their own.
        fewest_of_account: Smallest number of judged answers with text with which an account gets a correction.
        metrics: Rules of additional metrics, in the form that `router.reward.read_reward_rules` reads.
        continuing: Settings of the fine-tuning.
        rows_per_part: Number of requests that are read, encoded and checkpointed at once.
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
        """Metric that can say that an answer was good -> rule that turns its values into a reward.

        An automatic check is no such metric: a check that found nothing is no measurement of quality.
        """
        return judgement_rules(read_reward_rules(self.metrics))

    def __post_init__(self) -> None:
        read_reward_rules(self.metrics)  # a malformed rule is refused at once
        if not (min(self.calibrate_share, self.test_share) > 0 and self.calibrate_share + self.test_share < 0.9):
            raise SettingsError("the shares for calibrating and judging must be above 0 and together below 0.9")
        if not self.half_life_days >= 0:
            raise SettingsError(f"--half-life {self.half_life_days:g}: give a number of days, or 0 to ignore age")
        if not self.value_usd > 0:
            raise SettingsError(f"--value {self.value_usd:g}: give the value of a good answer, in USD above 0")
