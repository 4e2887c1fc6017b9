"""Adds the demand network to the graph of a bundle: one more output, `demand`.

The nodes read the standardised input that the quality network reads. What one product can do is one product: kinds
and both second layers share a matrix, and the shares that gate the numbers are a product of the kinds.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from router.onnx_quality_model import DEMAND_OUTPUT
from training.demand.network import DemandNetwork

Float32s = npt.NDArray[np.float32]
_PREFIX = "work_"

MOST_UNFAMILIAR = 3.0
N_GATED = 6
"""Numbers that are gated by a share of the kinds: difficulty, weak, strong, visible, reasoning, longer."""


@dataclass(frozen=True, slots=True, eq=False)
class DemandWeights:
    """The demand network as the graph holds it; h units of both first layers, k of both second ones, c columns.

    Args:
        hidden_matrix, hidden_offset: Both first layers side by side, shapes (n_inputs, h) and (h,).
        layer_matrix, layer_offset: Weights from them to kinds and to both second layers, shapes (h, c + 1 + k) and
            (c + 1 + k,).
        number_matrix, number_offset: Weights from the second layers to the six numbers, shapes (k, 6) and (6,).
        shares: Weights from kinds to the gates of the six numbers, `asked` and `reference`, shape (c + 1, 8).
        familiar: Mean and standard deviation of the log of the sum of squares of the input, shape (2,).
    """

    hidden_matrix: Float32s
    hidden_offset: Float32s
    layer_matrix: Float32s
    layer_offset: Float32s
    number_matrix: Float32s
    number_offset: Float32s
    shares: Float32s
    familiar: Float32s


def demand_weights(
    network: DemandNetwork,
    is_reference: npt.NDArray[np.bool_],
    has_lengths: npt.NDArray[np.bool_],
    inputs: Float32s,
) -> DemandWeights:
    """Return the weights of a fitted network.

    Args:
        network: Fitted network.
        is_reference: Whether a column belongs to the reference models' corpora, shape (c,).
        has_lengths: Whether lengths of a column's answers are known, shape (c,).
        inputs: Standardised inputs of all prompts of the fit, shape (n, n_inputs).
    """
    raw = {name: parameter.detach().numpy().astype(np.float64) for name, parameter in network.named_parameters()}
    n_hidden, n_length = len(raw["hidden.bias"]), len(raw["length_hidden.bias"])
    n_kinds, n_factors, n_length_factors = (len(raw[f"{name}.bias"]) for name in ("kind", "factor", "length_factor"))
    mean, variance = network.standardise.running_mean, network.standardise.running_var
    assert mean is not None
    assert variance is not None
    scale = 1 / np.sqrt(variance.numpy().astype(np.float64) + network.standardise.eps)
    layer = np.zeros((n_hidden + n_length, n_kinds + n_factors + n_length_factors))
    layer[:n_hidden, :n_kinds] = raw["kind.weight"].T
    layer[:n_hidden, n_kinds : n_kinds + n_factors] = raw["factor.weight"].T
    layer[n_hidden:, n_kinds + n_factors :] = raw["length_factor.weight"].T
    odds = raw["log_odds.weight"].T  # (n_factors, 3)
    numbers = np.zeros((n_factors + n_length_factors, N_GATED))
    numbers[:n_factors, :3], numbers[n_factors:, 3:] = odds * scale[:, None], raw["length.weight"].T
    everyday = np.r_[np.zeros(n_kinds - 1), 1]
    asked = np.r_[~(is_reference & has_lengths), True].astype(np.float64)
    reference = np.r_[is_reference, False]
    shares = np.stack([1 - everyday, everyday, everyday, asked, asked, 1 - asked, asked, reference], axis=1)
    spread = np.log(np.maximum((inputs.astype(np.float64) ** 2).sum(axis=1), 1e-6))
    # Half of all prompts are within the middle; unfamiliar begins at the 95% quantile.
    usual, far = np.quantile(spread, [0.95, 0.999])
    arrays = (
        np.concatenate([raw["hidden.weight"], raw["length_hidden.weight"]]).T,
        np.concatenate([raw["hidden.bias"], raw["length_hidden.bias"]]),
        layer,
        np.concatenate([raw["kind.bias"], raw["factor.bias"], raw["length_factor.bias"]]),
        numbers,
        np.r_[raw["log_odds.bias"] - (mean.numpy() * scale) @ odds, raw["length.bias"]],
        shares,
        np.array([usual, max(far - usual, 0.05)]),
    )
    return DemandWeights(*(np.ascontiguousarray(array, np.float32) for array in arrays))


def with_demand(model: ModelProto, weights: DemandWeights) -> ModelProto:
    """Return the graph with the output `demand`; the same weights give the same bytes."""
    graft = without_demand(model)
    graph = graft.graph
    n_kinds = len(weights.shares)
    n_factors = len(weights.number_matrix)
    arrays = {f"{_PREFIX}{entry.name}": getattr(weights, entry.name) for entry in fields(DemandWeights)}
    usual, step = weights.familiar
    arrays |= {
        "work_widths": np.array([n_kinds, n_factors], np.int64),
        "work_share_widths": np.array([N_GATED, 1, 1], np.int64),
        "work_usual": np.array(usual, np.float32),
        "work_step": np.array(1 / step, np.float32),
        "work_least": np.array(0, np.float32),
        "work_most": np.array(MOST_UNFAMILIAR, np.float32),
        "work_one": np.ones((1, 1), np.float32),
        "work_first_axis": np.array([0], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    graph.node.extend(demand_nodes())
    n_demands = 2 + n_kinds + N_GATED + 2
    graph.output.append(helper.make_tensor_value_info(DEMAND_OUTPUT, TensorProto.FLOAT, [n_demands]))
    onnx.checker.check_model(graft, full_check=True)
    return graft


def demand_weights_of(model: ModelProto) -> DemandWeights | None:
    """Return the weights that `with_demand` put into a graph; None: it has none."""
    arrays = {tensor.name: tensor for tensor in model.graph.initializer if tensor.name.startswith(_PREFIX)}
    if f"{_PREFIX}shares" not in arrays:
        return None
    return DemandWeights(
        *(numpy_helper.to_array(arrays[f"{_PREFIX}{entry.name}"]).copy() for entry in fields(DemandWeights))
    )


def without_demand(model: ModelProto) -> ModelProto:
    """Return the graph without what `with_demand` adds."""
    plain = ModelProto()
    plain.CopyFrom(model)
    graph = plain.graph
    own = {node.output[0] for node in demand_nodes()}
    kept_nodes = [node for node in graph.node if node.output[0] not in own]
    kept_arrays = [tensor for tensor in graph.initializer if tensor.name not in _INITIALIZERS]
    kept_outputs = [output for output in graph.output if output.name != DEMAND_OUTPUT]
    for field, kept in (("node", kept_nodes), ("initializer", kept_arrays), ("output", kept_outputs)):
        graph.ClearField(field)
        getattr(graph, field).extend(kept)
    return plain


_INITIALIZERS = frozenset(
    {f"{_PREFIX}{entry.name}" for entry in fields(DemandWeights)}
    | {
        "work_widths", "work_share_widths", "work_usual", "work_step", "work_least", "work_most", "work_one",
        "work_first_axis",
    }
)  # fmt: skip


def demand_nodes() -> list[NodeProto]:
    """Return the nodes that `with_demand` adds."""
    return [
        _node("MatMul", "input work_hidden_matrix", "work_hidden_sum"),
        _node("Add", "work_hidden_sum work_hidden_offset", "work_hidden_shifted"),
        _node("Gelu", "work_hidden_shifted", "work_hidden"),
        _node("MatMul", "work_hidden work_layer_matrix", "work_layer_sum"),
        _node("Add", "work_layer_sum work_layer_offset", "work_layer"),
        _split("work_layer work_widths", "work_kind_logits work_factor_sum"),
        _node("Softmax", "work_kind_logits", "work_kinds", axis=-1),
        _node("Gelu", "work_factor_sum", "work_factors"),
        _node("MatMul", "work_factors work_number_matrix", "work_number_sum"),
        _node("Add", "work_number_sum work_number_offset", "work_numbers"),
        _node("MatMul", "work_kinds work_shares", "work_gates"),
        _split("work_gates work_share_widths", "work_number_gates work_asked work_reference"),
        _node("Mul", "work_numbers work_number_gates", "work_gated"),
        _node("ReduceSumSquare", "input", "work_squares", keepdims=1),
        _node("Log", "work_squares", "work_spread"),
        _node("Sub", "work_spread work_usual", "work_excess"),
        _node("Mul", "work_excess work_step", "work_steps"),
        _node("Clip", "work_steps work_least work_most", "work_unfamiliar"),
        _node(
            "Concat",
            "work_reference work_unfamiliar work_kinds work_gated work_asked work_one",
            "work_row",
            axis=1,
        ),
        _node("Squeeze", "work_row work_first_axis", DEMAND_OUTPUT),
    ]


def _node(operator: str, inputs: str, output: str, **attributes: int) -> NodeProto:
    return helper.make_node(operator, inputs.split(), [output], None, None, None, None, **attributes)


def _split(inputs: str, outputs: str) -> NodeProto:
    return helper.make_node("Split", inputs.split(), outputs.split(), None, None, None, None, axis=-1)
