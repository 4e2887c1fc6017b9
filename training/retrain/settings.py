"""What decides a retraining besides the data; the defaults were chosen on the shipped corpus, see docs/retraining.md."""

from dataclasses import dataclass, field

from router.policies.best_value import DEFAULT_WILLINGNESS_TO_PAY_USD
from training.errors import SettingsError
from training.retrain.continuing import ContinueSettings


@dataclass(frozen=True, slots=True)
class RetrainSettings:
    """See the module's text.

    Args:
        seed: Same inputs, same seed: same bundle.
        value_usd: What a good answer is worth to a caller who did not say, USD; the gate weighs quality by it.
        calibrate_share, test_share: Of the conversations, the later ones: for choosing and calibrating, and the latest for judging.
        largest_weight: A reward counts 1 / propensity times, but no more than so many times.
        fewest_rewards: With fewer judged requests to learn from, nothing is fitted.
        fewest_of_new: A model that the champion does not know gets a head of its own from so many rewards on.
        fewest_with_text: The network is fitted on from so many judged requests with text on.
        continuing: How the network is fitted on.
        rows_per_part: Requests that are read, encoded and checkpointed at once.
    """

    seed: int = 0
    value_usd: float = DEFAULT_WILLINGNESS_TO_PAY_USD
    calibrate_share: float = 0.15
    test_share: float = 0.25
    largest_weight: float = 5.0
    fewest_rewards: int = 200
    fewest_of_new: int = 50
    fewest_with_text: int = 500
    continuing: ContinueSettings = field(default_factory=ContinueSettings)
    rows_per_part: int = 25_000

    def __post_init__(self) -> None:
        if not (min(self.calibrate_share, self.test_share) > 0 and self.calibrate_share + self.test_share < 0.9):
            raise SettingsError("the shares for calibrating and judging must be above 0 and together below 0.9")
        if not self.value_usd > 0:
            raise SettingsError(f"--value {self.value_usd:g}: give what a good answer is worth, in USD above 0")
