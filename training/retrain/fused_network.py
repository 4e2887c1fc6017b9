"""The served network with its fused weights, as a torch module: it starts equal to the champion and is fine-tuned."""

from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.bundle.export_onnx import GraphParts
from training.network.fused_weights import FusedWeights

Float32s = npt.NDArray[np.float32]
_BATCH_PROMPTS = 4_096


class FusedNetwork(nn.Module):
    """The network of all ensemble members, with fused weights.

    `training.network.fused_weights` describes the layout, `training.network.ensemble` the meaning of the layers.

    Args:
        parts: Parts of the graph.
        input_dropout, hidden_dropout: Shares of units that are dropped while fitting.
    """

    def __init__(self, parts: GraphParts, input_dropout: float = 0.0, hidden_dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden_matrix, self.hidden_offset = _weight(parts.fused.hidden_matrix), _weight(parts.fused.hidden_offset)
        self.demand_matrix, self.demand_offset = _weight(parts.fused.demand_matrix), _weight(parts.fused.demand_offset)
        self.head_matrix, self.head_offset = _weight(parts.fused.head_matrix), _weight(parts.fused.head_offset)
        self._n_factors, self._n_length = parts.n_factors, parts.n_token_hidden
        self._input_dropout, self._hidden_dropout = nn.Dropout(input_dropout), nn.Dropout(hidden_dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the heads of all members, (members, batch, 2 m + 1), for standardised inputs (batch, n_inputs)."""
        members = self.demand_matrix.shape[0]
        layers = functional.gelu(self._input_dropout(inputs) @ self.hidden_matrix + self.hidden_offset)
        layers = self._hidden_dropout(layers).reshape(len(inputs), members, -1).transpose(0, 1)
        hidden, length = layers[..., : -self._n_length], layers[..., -self._n_length :]
        demand = hidden @ self.demand_matrix + self.demand_offset
        factors = functional.gelu(demand[..., : self._n_factors])
        task = demand[..., self._n_factors :].softmax(dim=-1)
        return torch.cat([factors, task, length], dim=-1) @ self.head_matrix + self.head_offset

    def head_shape(self) -> tuple[int, int]:
        """Return (members, 2 m + 1)."""
        return self.demand_matrix.shape[0], self.head_matrix.shape[2]

    def fused(self) -> FusedWeights:
        """Return the weights as plain arrays."""
        return FusedWeights(*(getattr(self, entry.name).detach().numpy().copy() for entry in fields(FusedWeights)))


def run_heads(
    parts: GraphParts, inputs: npt.NDArray[np.floating[Any]], rows: npt.NDArray[np.intp] | None = None
) -> Float32s:
    """Return the heads of all members, (n, members, 2 m + 1), for standardised inputs (n, n_inputs).

    Args:
        parts: Parts of the graph.
        inputs: Standardised inputs; a memory map is read batch by batch.
        rows: Rows of `inputs` to use; None: all.
    """
    network = FusedNetwork(parts).eval()
    rows = np.arange(len(inputs)) if rows is None else rows
    batches = [np.empty((0, *network.head_shape()), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH_PROMPTS):
            batch = np.asarray(inputs[rows[start : start + _BATCH_PROMPTS]], np.float32)
            batches.append(network(torch.from_numpy(batch)).transpose(0, 1).numpy())
    return np.concatenate(batches)


def _weight(values: Float32s) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(values.copy()))
