"""The quality model: P(good answer) and answer length for every upstream model it was trained on, from one request's text.

The port `QualityModel` is what the decision asks; `OnnxQualityModel` answers from an exported bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.arrays import Float32s
from router.context import RouteContext


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the quality model believes about one request. `n` is the number of models it was trained on.

    Args:
        quality: Calibrated P(good answer), shape (n,), 0..1.
        quality_std: Standard deviation of that belief (epistemic), shape (n,).
        completion_tokens: Expected answer length in tokens, shape (n,), at least 1.
        difficulty: Of the prompt, on the logit scale of the models' abilities: P(good) = sigmoid(ability - difficulty)
            for a model of average shape. Used for models never seen in training.
        typical_completion_tokens: Expected answer length of a model never seen in training.
        features: What the quality model saw beside the text, shape (n_features,); logged, so that training can use it without the text.
    """

    quality: Float32s
    quality_std: Float32s
    completion_tokens: Float32s
    difficulty: float
    typical_completion_tokens: float
    features: Float32s


class QualityModel(Protocol):
    """Predicts, for one request, what each known upstream model would make of it."""

    @property
    def trained_names(self) -> Sequence[str]:
        """Names of the models predicted, in the order of the arrays of a `Prediction`."""
        ...

    @property
    def version(self) -> str:
        """The bundle's version, as logged with every decision."""
        ...

    def predict(self, context: RouteContext) -> Prediction:
        """Return the beliefs for one request. Deterministic; thread-safe; well under a millisecond."""
        ...
