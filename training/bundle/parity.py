"""Checks, prompt by prompt and through the serving class, that the exported graph equals the fitted model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.context import RouteContext
from router.quality_model import QualityModel
from training.errors import ParityError
from training.network.fitted_model import Beliefs

QUALITY_TOLERANCE = 1e-4
"""Largest absolute difference of a probability or of difficulty; sums in another order differ by about 1e-6."""
DEMAND_TOLERANCE = 1e-3
"""Largest absolute difference of an entry of a demand vector; they are log odds and logs of tokens."""
TOKENS_TOLERANCE = 1e-3
"""Largest relative difference of completion tokens."""


@dataclass(frozen=True, slots=True)
class ParityReport:
    """How far the graph is from the fitted model.

    Args:
        n_prompts: Number of prompts compared, each with every model.
        quality: Largest absolute difference of quality, its standard deviation, or difficulty.
        completion_tokens: Largest relative difference of completion tokens.
    """

    n_prompts: int
    quality: float
    completion_tokens: float


def prove_parity(
    served: QualityModel, contexts: Sequence[RouteContext], beliefs: Beliefs, advance: Callable[[], None] = lambda: None
) -> ParityReport:
    """Compare the graph with the fitted model for every prompt and model.

    Raises:
        ParityError: A difference exceeds its tolerance; the message names the prompt's row.
    """
    worst_quality = worst_tokens = 0.0
    for row, context in enumerate(contexts):
        prediction = served.predict(context)
        quality = max(
            float(np.abs(prediction.quality - beliefs.quality[row]).max()),
            float(np.abs(prediction.quality_std - beliefs.quality_std[row]).max()),
            abs(prediction.difficulty - float(beliefs.difficulty[row])),
        )
        tokens = float(np.abs(prediction.completion_tokens / beliefs.completion_tokens[row] - 1).max())
        if not (quality <= QUALITY_TOLERANCE and tokens <= TOKENS_TOLERANCE):
            raise ParityError(
                f"row {row}: the exported graph differs by {quality:.2g} in quality and {tokens:.2g} in tokens "
                f"(tolerances {QUALITY_TOLERANCE:g} and {TOKENS_TOLERANCE:g}). "
                "This is a bug of the export: please report it"
            )
        worst_quality, worst_tokens = max(worst_quality, quality), max(worst_tokens, tokens)
        advance()
    return ParityReport(len(contexts), worst_quality, worst_tokens)


def prove_demand(served: QualityModel, contexts: Sequence[RouteContext], demand: npt.NDArray[np.float32]) -> None:
    """Compare the graph's demand vectors with the fitted network's, shape (n, n_demands).

    Raises:
        ParityError: A difference exceeds its tolerance; the message names the prompt's row.
    """
    for row, context in enumerate(contexts):
        predicted = served.predict(context).demand
        difference = np.inf if predicted is None else float(np.abs(predicted - demand[row]).max())
        if not difference <= DEMAND_TOLERANCE:
            raise ParityError(
                f"row {row}: the exported graph differs by {difference:.2g} in the demand "
                f"(tolerance {DEMAND_TOLERANCE:g}). This is a bug of the export: please report it"
            )
