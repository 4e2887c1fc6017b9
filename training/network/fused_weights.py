"""The network's weights as the served graph holds them: three matrices, so that one prompt costs three products.

hidden  (n_inputs, members * (n_hidden + n_token_hidden))         both first layers of every member, side by side
demand  (members, n_hidden, n_factors + n_tasks)                  factors and task of a member
head    (members, n_factors + n_tasks + n_token_hidden, 2 m + 1)  calibrated logits, log tokens and difficulty

There are `m` models. Standardising the factors, the peers' map, calibration and the head are all linear. Folding the
first three into the head saves the graph as many operators, of about a microsecond each.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.network.calibration import Calibration
from training.network.ensemble import RoutingNetwork
from training.settings import FitSettings

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Weights = dict[str, Float32s]


@dataclass(frozen=True, slots=True, eq=False)
class FusedWeights:
    """The matrices of the module docstring; each offset is added to the product of its matrix."""

    hidden_matrix: Float32s
    hidden_offset: Float32s
    demand_matrix: Float32s
    demand_offset: Float32s
    head_matrix: Float32s
    head_offset: Float32s


def fuse_weights(network: RoutingNetwork, calibration: Calibration) -> FusedWeights:
    """Return the network's weights, calibrated and fused."""
    raw: Weights = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    n_inputs = raw["hidden_weight"].shape[1]
    heads, offsets = _heads(network, raw)
    n_models = calibration.slope.shape[0]
    peers, slope = calibration.peers, calibration.slope
    heads[..., :n_models] = heads[..., :n_models] @ peers.matrix.T * slope
    offsets[..., :n_models] = peers.apply(offsets[..., :n_models]) * slope + calibration.intercept
    heads[..., n_models:-1] *= calibration.length_slope
    offsets[..., n_models:-1] = offsets[..., n_models:-1] * calibration.length_slope + calibration.length_offset
    heads[..., -1] *= calibration.difficulty_slope
    offsets[..., -1] = offsets[..., -1] * calibration.difficulty_slope + calibration.difficulty_offset
    hidden = np.concatenate([raw["hidden_weight"], raw["length_weight"]], axis=2)
    return FusedWeights(
        hidden.transpose(1, 0, 2).reshape(n_inputs, -1),
        np.concatenate([raw["hidden_bias"], raw["length_bias"]], axis=2).reshape(-1),
        np.concatenate([raw["factor_weight"], raw["task_weight"]], axis=2),
        np.concatenate([raw["factor_bias"], raw["task_bias"]], axis=2),
        heads.astype(np.float32),
        offsets.astype(np.float32),
    )


def _heads(network: RoutingNetwork, raw: Weights) -> tuple[Floats, Floats]:
    """Return all heads over (unscaled factors, tasks, length) and their offsets.

    They are in double precision, before calibration.
    """
    scale, shift = (part.numpy().astype(np.float64) for part in network.standardise.line())  # (members, 1, factors)
    difficulty = raw["difficulty_weight"].astype(np.float64)  # (members, factors, 1)
    quality = raw["quality_factor"] - difficulty * (1 + raw["difficulty_slope"])
    by_factor = np.concatenate([quality, np.zeros_like(quality), difficulty], axis=2)
    members, n_tasks, n_models = raw["quality_task"].shape
    nothing = np.zeros((members, n_tasks, 1))
    by_task = np.concatenate([raw["quality_task"], raw["tokens_task"], nothing], axis=2)
    n_length = raw["tokens_length"].shape[1]
    by_length = np.zeros((members, n_length, 2 * n_models + 1))
    by_length[..., n_models : 2 * n_models] = raw["tokens_length"]
    offsets = (
        np.concatenate([raw["ability"], raw["tokens_bias"], np.zeros((members, 1, 1))], axis=2) + shift @ by_factor
    )
    return np.concatenate([by_factor * scale.transpose(0, 2, 1), by_task, by_length], axis=1), offsets


def unfuse_weights(fused: FusedWeights, settings: FitSettings, n_models: int) -> Weights:
    """Return the trunk's and the models' weights under the network's own names.

    They belong to a network that needs no calibration and does not standardise its factors. The weights of tasks are
    left out.
    """
    members, n_hidden, n_factors = settings.n_members, settings.n_hidden, settings.n_factors
    n_inputs = len(fused.hidden_matrix)
    heads = fused.head_matrix[:, :n_factors]  # (members, n_factors, 2 m + 1)
    difficulty = heads[:, :, 2 * n_models :]
    hidden = fused.hidden_matrix.reshape(n_inputs, members, -1).transpose(1, 0, 2)
    hidden_offset = fused.hidden_offset.reshape(members, 1, -1)
    return {
        "hidden_weight": hidden[:, :, :n_hidden],
        "hidden_bias": hidden_offset[:, :, :n_hidden],
        "length_weight": hidden[:, :, n_hidden:],
        "length_bias": hidden_offset[:, :, n_hidden:],
        "factor_weight": fused.demand_matrix[:, :, :n_factors],
        "factor_bias": fused.demand_offset[:, :, :n_factors],
        "difficulty_weight": difficulty,
        "quality_factor": heads[:, :, :n_models] + difficulty,
        "tokens_length": fused.head_matrix[:, -settings.n_token_hidden :, n_models : 2 * n_models],
        "ability": fused.head_offset[:, :, :n_models],
        "tokens_bias": fused.head_offset[:, :, n_models : 2 * n_models],
    }


def difficulty_offset_of(fused: FusedWeights) -> float:
    """Return the offset that places the difficulty on its scale."""
    return float(fused.head_offset[:, 0, -1].mean())
