"""The arrays of a network in two forms: plain, by member of the ensemble, and packed, so that members share products.

The packed form is quick to run and has three matrices:

first   (n_inputs, ...)                                first layers of all members, then those of another network
second  (members * n_hidden, members * n_demands)      factors and tasks of all members; zeros between members
last    (members * (n_demands + n_token_hidden), ...)  means of the members' heads, then contrasts of their logits

The squares of the contrasts add up to the variance of the logits between the members. Packing keeps all weights. Only
the members' offsets of lengths and difficulty become their mean, because no more than that is predicted.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]
Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

KEPT = ("table_rows", "table_scales", "input_mean", "input_inverse_std", "intercept_variance")
"""Arrays that are the same in both forms."""
PACKED_MARK = "first_widths"
"""Array that only the packed form has."""


def pack_network(arrays: Arrays, further: tuple[Float32s, Float32s] | None = None) -> Arrays:
    """Return the packed arrays of a network, without those of `KEPT`.

    Args:
        arrays: Arrays of the plain form.
        further: Weights and offsets of another first layer that reads the same input; None: there is none.
    """
    members, n_hidden, _ = arrays["demand_matrix"].shape
    n_factors, n_tasks = arrays["demand_widths"].tolist()
    n_models = len(arrays["intercept_variance"])
    hidden = arrays["hidden_matrix"].reshape(-1, members, arrays["hidden_matrix"].shape[1] // members)
    offset = arrays["hidden_offset"].reshape(members, -1)
    first = [part.reshape(len(hidden), -1) for part in np.split(hidden, [n_hidden], axis=2)]
    first_offset = [part.ravel() for part in np.split(offset, [n_hidden], axis=1)]
    if further is not None:
        first.append(further[0])
        first_offset.append(further[1])
    factors = (arrays["demand_matrix"][..., :n_factors], arrays["demand_offset"][:, 0, :n_factors])
    tasks = (arrays["demand_matrix"][..., n_factors:], arrays["demand_offset"][:, 0, n_factors:])
    heads, head_offset = arrays["head_matrix"].astype(np.float64), arrays["head_offset"][:, 0].astype(np.float64)
    contrasts = _contrasts(members)  # (members - 1, members)
    shares = np.concatenate([np.full((1, members), 1 / members), contrasts])
    last = [_by_view(heads * share[:, None, None], n_factors, n_tasks) for share in shares]
    last_offset = shares @ head_offset  # (members, 2 m + 1)
    columns = [slice(None)] + [slice(n_models)] * (members - 1)
    widths = [n_models, n_models, 1, *([n_models * (members - 1)] if members > 1 else [])]
    packed = {
        "first_matrix": np.concatenate(first, axis=1),
        "first_offset": np.concatenate(first_offset),
        PACKED_MARK: np.array([part.shape[1] for part in first], np.int64),
        "second_matrix": np.concatenate([_diagonal(factors[0]), _diagonal(tasks[0])], axis=1),
        "second_offset": np.concatenate([factors[1].ravel(), tasks[1].ravel()]),
        "second_widths": np.array([members * n_factors, *[n_tasks] * members], np.int64),
        "last_matrix": np.concatenate([part[:, kept] for part, kept in zip(last, columns, strict=True)], axis=1),
        "last_offset": np.concatenate([part[kept] for part, kept in zip(last_offset, columns, strict=True)]),
        "last_widths": np.array(widths, np.int64),
        "first_axis": np.array([0], np.int64),
    }
    if members > 2:
        packed["contrast_shape"] = np.array([members - 1, n_models], np.int64)
    return {name: compact(array) for name, array in packed.items()}


def plain_network(arrays: Arrays) -> Arrays:
    """Return the arrays of the plain form from the packed ones, and the numbers `n_factors` and `n_token_hidden`.

    Arrays that are plain come back as they are, without these numbers.
    """
    if PACKED_MARK not in arrays:
        return arrays
    n_factors_all, *tasks = arrays["second_widths"].tolist()
    members, n_tasks = len(tasks), tasks[0]
    n_factors, n_models = n_factors_all // members, len(arrays["intercept_variance"])
    n_hidden, n_length = (width // members for width in arrays[PACKED_MARK].tolist()[:2])
    ends = [members * n_hidden, members * (n_hidden + n_length)]
    hidden, length = np.split(arrays["first_matrix"], ends, axis=1)[:2]
    hidden_offset, length_offset = np.split(arrays["first_offset"], ends)[:2]
    n_inputs = len(hidden)
    second, second_offset = arrays["second_matrix"], arrays["second_offset"]
    blocks = np.concatenate(
        [
            _blocks(second[:, :n_factors_all], members, n_hidden),
            _blocks(second[:, n_factors_all:], members, n_hidden),
        ],
        axis=2,
    )
    last, last_offset = arrays["last_matrix"].astype(np.float64), arrays["last_offset"].astype(np.float64)
    n_heads = 2 * n_models + 1
    ends = [n_factors_all, n_factors_all + members * n_tasks]
    heads = np.concatenate(
        [part.reshape(members, -1, n_heads) for part in np.split(last[:, :n_heads] * members, ends)], axis=1
    )
    head_offset = np.tile(last_offset[:n_heads], (members, 1))
    by_contrast = last_offset[n_heads:].reshape(members - 1, n_models)
    head_offset[:, :n_models] += members * _contrasts(members).T @ by_contrast
    fused = {
        "hidden_matrix": np.concatenate(
            [hidden.reshape(n_inputs, members, -1), length.reshape(n_inputs, members, -1)], axis=2
        ).reshape(n_inputs, -1),
        "hidden_offset": np.concatenate(
            [hidden_offset.reshape(members, -1), length_offset.reshape(members, -1)], axis=1
        ).ravel(),
        "demand_matrix": blocks,
        "demand_offset": np.concatenate(
            [second_offset[:n_factors_all].reshape(members, -1), second_offset[n_factors_all:].reshape(members, -1)],
            axis=1,
        )[:, None],
        "head_matrix": heads,
        "head_offset": head_offset[:, None],
    }
    plain = {name: compact(array) for name, array in fused.items()}
    plain |= {name: arrays[name] for name in KEPT}
    plain |= {"n_factors": np.array(n_factors), "n_token_hidden": np.array(n_length)}
    return plain


def _blocks(matrix: Float32s, members: int, rows: int) -> Float32s:
    """Return the blocks on the diagonal of a matrix, shape (members, rows, columns)."""
    by_member = matrix.reshape(members, rows, members, -1)
    return by_member[np.arange(members), :, np.arange(members)]


def _contrasts(members: int) -> Floats:
    """Return orthogonal contrasts of the members; the sum of their squares is the members' variance."""
    contrasts = np.zeros((members - 1, members))
    for row in range(1, members):
        contrasts[row - 1, :row] = 1
        contrasts[row - 1, row] = -row
        contrasts[row - 1] /= np.sqrt(row * (row + 1) * members)
    return contrasts


def _diagonal(blocks: Float32s) -> Float32s:
    """Return a matrix with these blocks, shape (members, rows, columns), on its diagonal and zeros elsewhere."""
    members, rows, columns = blocks.shape
    matrix = np.zeros((members, rows, members, columns), np.float32)
    matrix[np.arange(members), :, np.arange(members)] = blocks
    return matrix.reshape(members * rows, members * columns)


def _by_view(heads: Floats, n_factors: int, n_tasks: int) -> Floats:
    """Return the rows of the members' heads in the order of the view: all factors, all tasks, all of the lengths."""
    parts = np.split(heads, [n_factors, n_factors + n_tasks], axis=1)
    return np.concatenate([part.reshape(-1, heads.shape[2]) for part in parts])


def compact(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array as the graph holds it: contiguous, of 64-bit integers or 32-bit floats."""
    return np.ascontiguousarray(array, np.int64 if array.dtype == np.int64 else np.float32)
