"""The demand vector of a prompt, as the graph computes it: the reference that the export is compared with."""

import numpy as np
import numpy.typing as npt

from training.demand.fitting import DemandBeliefs
from training.demand.graph import MOST_UNFAMILIAR, N_GATED, DemandWeights

Float32s = npt.NDArray[np.float32]


def demand_vectors(beliefs: DemandBeliefs, inputs: Float32s, weights: DemandWeights) -> Float32s:
    """Return the vectors, shape (n, n_demands); `training.demand.rows` has the meaning of the entries.

    Args:
        beliefs: Outputs of the network.
        inputs: Standardised inputs that they came from, shape (n, n_inputs).
        weights: Shares and scale of unfamiliarity.
    """
    numbers = np.stack(
        [beliefs.difficulty, beliefs.weak, beliefs.strong, beliefs.visible, beliefs.reasoning, beliefs.longer], axis=1
    )
    gates = beliefs.kinds @ weights.shares
    usual, step = weights.familiar
    spread = np.log((inputs**2).sum(axis=1))
    unfamiliar = ((spread - usual) / step).clip(0, MOST_UNFAMILIAR)
    parts = (
        gates[:, N_GATED + 1 :],
        unfamiliar[:, None],
        beliefs.kinds,
        numbers * gates[:, :N_GATED],
        gates[:, N_GATED : N_GATED + 1],
        np.ones((len(inputs), 1)),
    )
    return np.concatenate(parts, axis=1).astype(np.float32)
