"""The port of the quality model: P(good answer) and answer length of every trained model, from one request's text.

`OnnxQualityModel` is the implementation that runs an exported bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.arrays import Float32s
from router.context import RouteContext


@dataclass(frozen=True, slots=True)
class Prediction:
    """The quality model's beliefs about one request. `n` is the number of models that it was trained on.

    Args:
        quality: Calibrated P(good answer), shape (n,), 0..1.
        quality_std: Standard deviation of that belief (epistemic), shape (n,).
        completion_tokens: Expected answer length in tokens, shape (n,), at least 1.
        difficulty: Difficulty of the prompt, on the logit scale of the models' abilities: P(good) = sigmoid(ability -
            difficulty) for an average model. It is used for models that were never trained on.
        typical_completion_tokens: Expected answer length of a model that was never trained on.
        features: Features that the quality model saw next to the text, shape (n_features,). They are logged, so that
            training can use them without the text.
        demand: Demands of the prompt, shape (n_demands,), that beliefs about catalogue models are linear in; None: the
            bundle has no catalogue models. See `router.catalogue_models`.
    """

    quality: Float32s
    quality_std: Float32s
    completion_tokens: Float32s
    difficulty: float
    typical_completion_tokens: float
    features: Float32s
    demand: Float32s | None = None


class QualityModel(Protocol):
    """Predicts how good each trained model's answer to a request would be."""

    @property
    def trained_names(self) -> Sequence[str]:
        """Names of the predicted models, in the order of a `Prediction`'s arrays."""
        ...

    @property
    def version(self) -> str:
        """The bundle's version, as logged with every decision."""
        ...

    def predict(self, context: RouteContext) -> Prediction:
        """Return the beliefs about one request: deterministic, thread-safe, in well under a millisecond."""
        ...
