"""The result of a fit: everything that the exported graph will compute, in a form that training can run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.network.calibration import Calibration
from training.network.encoding import EncodedPrompts
from training.network.ensemble import RoutingNetwork
from training.network.input_scaler import InputScaler
from training.network.outputs import NetworkOutputs, run_network
from training.network.static_table import StaticTable
from training.settings import FitSettings

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """Beliefs about `n` prompts and `m` models; `router.quality_model.Prediction` describes each array."""

    quality: Float32s  # (n, m)
    quality_std: Float32s  # (n, m)
    completion_tokens: Float32s  # (n, m)
    difficulty: Float32s  # (n,)

    @classmethod
    def of(cls, outputs: NetworkOutputs, calibration: Calibration) -> "Beliefs":
        """Return the calibrated beliefs that follow from an ensemble's outputs."""
        return cls(
            calibration.quality(outputs),
            calibration.quality_std(outputs),
            calibration.completion_tokens(outputs),
            calibration.difficulty(outputs),
        )

    def of_models(self, columns: Sequence[int]) -> "Beliefs":
        """Return the beliefs about these models."""
        chosen = list(columns)
        return Beliefs(
            self.quality[:, chosen], self.quality_std[:, chosen], self.completion_tokens[:, chosen], self.difficulty
        )


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A fitted quality model.

    Args:
        trained_names: Names of the models, in the order of every array.
        table, scaler, network, calibration: Stages, from text to belief.
        settings: Settings of the fit.
    """

    trained_names: tuple[str, ...]
    table: StaticTable
    scaler: InputScaler
    network: RoutingNetwork
    calibration: Calibration
    settings: FitSettings

    def predict(self, encoded: EncodedPrompts) -> Beliefs:
        """Return the beliefs about prompts that were encoded with this model's table."""
        return Beliefs.of(run_network(self.network, self.scaler.transform(encoded)), self.calibration)
