"""The network's weights as the served graph holds them: all members in three matrices, so that one prompt costs three products.

hidden  (n_inputs, members * n_hidden)            every member's first layer side by side
demand  (members, n_hidden, n_factors + n_tasks)  factors and task of a member
head    (members, n_factors + n_tasks, 2 m + 1)   calibrated logits, log tokens and calibrated difficulty of the `m` models

Calibration is a line, and so is the head: folding one into the other spares the graph five operators, of about a microsecond each.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.calibration import Calibration
from training.network import RoutingNetwork
from training.settings import FitSettings

Float32s = npt.NDArray[np.float32]
Weights = dict[str, Float32s]


@dataclass(frozen=True, slots=True, eq=False)
class FusedWeights:
    """See the module's text; each bias fits the product of its matrix."""

    hidden_matrix: Float32s
    hidden_offset: Float32s
    demand_matrix: Float32s
    demand_offset: Float32s
    head_matrix: Float32s
    head_offset: Float32s


def fuse_weights(network: RoutingNetwork, calibration: Calibration) -> FusedWeights:
    """Return the network's weights, calibrated and fused."""
    raw: Weights = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    members, n_inputs, n_hidden = raw["hidden_weight"].shape
    by_factor = [raw["quality_factor"] - raw["difficulty_weight"], raw["tokens_factor"], raw["difficulty_weight"]]
    n_tasks = raw["task_weight"].shape[2]
    by_task = [raw["quality_task"], raw["tokens_task"], np.zeros((members, n_tasks, 1), np.float32)]
    heads = np.concatenate([np.concatenate(by_factor, axis=2), np.concatenate(by_task, axis=2)], axis=1)
    offsets = np.concatenate([raw["ability"], raw["tokens_bias"], np.zeros((members, 1, 1), np.float32)], axis=2)
    unchanged = np.ones_like(calibration.slope)
    slope = np.concatenate([calibration.slope, unchanged, [calibration.difficulty_slope]])
    intercept = np.concatenate([calibration.intercept, 0 * unchanged, [calibration.difficulty_offset]])
    return FusedWeights(
        raw["hidden_weight"].transpose(1, 0, 2).reshape(n_inputs, members * n_hidden),
        raw["hidden_bias"].reshape(-1),
        np.concatenate([raw["factor_weight"], raw["task_weight"]], axis=2),
        np.concatenate([raw["factor_bias"], raw["task_bias"]], axis=2),
        (heads * slope).astype(np.float32),
        (offsets * slope + intercept).astype(np.float32),
    )


def unfuse_weights(fused: FusedWeights, settings: FitSettings, n_models: int) -> Weights:
    """Return the trunk's and the models' weights under the network's own names.

    They are those of a network that needs no calibration. Tasks' weights stay behind with their tasks.
    """
    members, n_hidden, n_factors = settings.n_members, settings.n_hidden, settings.n_factors
    n_inputs = len(fused.hidden_matrix)
    heads = fused.head_matrix[:, :n_factors]  # (members, n_factors, 2 m + 1)
    difficulty = heads[:, :, 2 * n_models :]
    return {
        "hidden_weight": fused.hidden_matrix.reshape(n_inputs, members, n_hidden).transpose(1, 0, 2),
        "hidden_bias": fused.hidden_offset.reshape(members, 1, n_hidden),
        "factor_weight": fused.demand_matrix[:, :, :n_factors],
        "factor_bias": fused.demand_offset[:, :, :n_factors],
        "difficulty_weight": difficulty,
        "quality_factor": heads[:, :, :n_models] + difficulty,
        "tokens_factor": heads[:, :, n_models : 2 * n_models],
        "ability": fused.head_offset[:, :, :n_models],
        "tokens_bias": fused.head_offset[:, :, n_models : 2 * n_models],
    }


def difficulty_offset_of(fused: FusedWeights) -> float:
    """Return what places the difficulty on its scale."""
    return float(fused.head_offset[0, 0, -1])
