"""The outputs of an ensemble as plain arrays: the mean over its members, and their spread."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from training.network.ensemble import RoutingNetwork

Float32s = npt.NDArray[np.float32]
_BATCH_PROMPTS = 2_048


@dataclass(frozen=True, slots=True, eq=False)
class NetworkOutputs:
    """Outputs for `n` prompts and `m` models, from `k` members.

    Args:
        member_logits: Shape (n, k, m); logits before calibration.
        log_tokens: Shape (n, m); log(1 + completion tokens).
        difficulty: Shape (n,); difficulty before calibration.
        task_probabilities: Shape (n, n_tasks).
    """

    member_logits: Float32s
    log_tokens: Float32s
    difficulty: Float32s
    task_probabilities: Float32s

    @property
    def logits(self) -> Float32s:
        """Mean over the members, shape (n, m)."""
        return np.asarray(self.member_logits.mean(axis=1), np.float32)

    def rows(self, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "NetworkOutputs":
        """Return the outputs for these prompts."""
        return NetworkOutputs(
            self.member_logits[chosen],
            self.log_tokens[chosen],
            self.difficulty[chosen],
            self.task_probabilities[chosen],
        )


def run_network(network: RoutingNetwork, inputs: Float32s) -> NetworkOutputs:
    """Return the ensemble's outputs for all `inputs` (n, n_inputs)."""
    parts = [
        _run_batch(network, inputs[start : start + _BATCH_PROMPTS]) for start in range(0, len(inputs), _BATCH_PROMPTS)
    ]
    return NetworkOutputs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def gather_folds(parts: list[tuple[npt.NDArray[np.intp], NetworkOutputs]]) -> NetworkOutputs:
    """Return one set of outputs from (rows, outputs) parts that together cover every row once."""
    order = np.argsort(np.concatenate([rows for rows, _ in parts]))
    joined = NetworkOutputs(
        *(
            np.concatenate([getattr(outputs, name) for _, outputs in parts])
            for name in ("member_logits", "log_tokens", "difficulty", "task_probabilities")
        )
    )
    return joined.rows(order)


def _run_batch(network: RoutingNetwork, inputs: Float32s) -> tuple[Float32s, ...]:
    with torch.inference_mode():
        output = network(torch.from_numpy(inputs))
        return (
            output.quality_logits.transpose(0, 1).numpy(),
            output.log_tokens.mean(dim=0).numpy(),
            output.difficulty.mean(dim=0)[:, 0].numpy(),
            output.task_logits.softmax(dim=-1).mean(dim=0).numpy(),
        )
