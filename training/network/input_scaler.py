"""Standardises the network's input, with the same few operations as the exported graph."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.answer_form import STATED_MAXIMA
from router.features import FEATURE_NAMES
from training.network.encoding import EncodedPrompts

Float32s = npt.NDArray[np.float32]

INPUT_LIMIT = 5.0
"""Standardised inputs are cut at so many standard deviations, so that an unusual prompt does not dominate."""
_CONSTANT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class InputScaler:
    """Maps embeddings and features to clipped standard scores.

    Args:
        mean: Shape (n_inputs,); mean of each input.
        inverse_std: Shape (n_inputs,); 0 if an input was the same for all fitted prompts, so that it is ignored.
    """

    mean: Float32s
    inverse_std: Float32s

    @classmethod
    def fit(cls, encoded: EncodedPrompts) -> "InputScaler":
        """Return the scaler of these prompts."""
        inputs = _join(encoded)
        std = inputs.std(axis=0)
        inverse = np.where(std > _CONSTANT, 1 / np.maximum(std, np.maximum(_least_std(len(std)), _CONSTANT)), 0)
        return cls(inputs.mean(axis=0).astype(np.float32), inverse.astype(np.float32))

    def transform(self, encoded: EncodedPrompts) -> Float32s:
        """Return the network's inputs, shape (n_prompts, n_inputs)."""
        return np.asarray(
            np.clip((_join(encoded) - self.mean) * self.inverse_std, -INPUT_LIMIT, INPUT_LIMIT), np.float32
        )


def _least_std(n_inputs: int) -> Float32s:
    """Return the least standard deviation that each input is scaled with.

    Few prompts state a length. By the deviation over all prompts, "60 words" would already be cut at the limit, and
    longer ones could not be told apart.
    """
    least = np.zeros(n_inputs, np.float32)
    first = n_inputs - len(FEATURE_NAMES)
    for name, most in STATED_MAXIMA.items():
        least[first + FEATURE_NAMES.index(name)] = most / INPUT_LIMIT
    return least


def _join(encoded: EncodedPrompts) -> Float32s:
    return np.concatenate([encoded.embeddings, encoded.features], axis=1)
