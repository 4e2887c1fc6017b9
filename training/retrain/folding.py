"""Folds what was learned into the champion's last layer: a map of its logits and a line of its log lengths.

So serving costs nothing more.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from training.bundle.export_onnx import GraphParts
from training.retrain.correction import LogitMap

Floats = npt.NDArray[np.float64]


def fold_logit_map(parts: GraphParts, logit_map: LogitMap) -> GraphParts:
    """Return the parts with mapped logits. New models are appended; their length is the mean of the other models'.

    The variance of a model's intercept shrinks by the information in its rewards: informations add up.
    """
    n_models, n_all = parts.n_models, len(logit_map.offset)
    heads, offsets = parts.fused.head_matrix.astype(np.float64), parts.fused.head_offset.astype(np.float64)
    lengths = np.concatenate([np.eye(n_models), np.full((n_all - n_models, n_models), 1 / n_models)])
    variance = np.full(n_all, np.inf)
    variance[:n_models] = parts.intercept_variance
    with np.errstate(divide="ignore"):
        variance = 1 / (1 / np.maximum(variance, 1e-12) + logit_map.information)
    shift = np.concatenate([logit_map.offset, np.zeros(n_all + 1)])
    fused = replace(
        parts.fused,
        head_matrix=_map_columns(heads, logit_map.matrix, lengths).astype(np.float32),
        head_offset=(_map_columns(offsets, logit_map.matrix, lengths) + shift).astype(np.float32),
    )
    return replace(parts, fused=fused, intercept_variance=np.minimum(variance, _LARGEST_VARIANCE).astype(np.float32))


_LARGEST_VARIANCE = 1.0


def fold_length_lines(parts: GraphParts, slope: Floats, offset: Floats) -> GraphParts:
    """Return the parts with log lengths slope * log length + offset, both of shape (m,)."""
    chosen = slice(parts.n_models, 2 * parts.n_models)
    heads, offsets = parts.fused.head_matrix.copy(), parts.fused.head_offset.copy()
    heads[..., chosen] = heads[..., chosen] * slope
    offsets[..., chosen] = offsets[..., chosen] * slope + offset
    return replace(parts, fused=replace(parts.fused, head_matrix=heads, head_offset=offsets))


def _map_columns(heads: Floats, logits: Floats, lengths: Floats) -> Floats:
    n_models = logits.shape[1]
    return np.concatenate(
        [heads[..., :n_models] @ logits.T, heads[..., n_models : 2 * n_models] @ lengths.T, heads[..., -1:]], axis=-1
    )
