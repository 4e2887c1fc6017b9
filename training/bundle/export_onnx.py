"""The fitted model as one ONNX graph for one prompt.

Token ids and features go in; calibrated beliefs about every model come out. The graph is written node by node: no
exporter knows the gather from 8-bit rows and the calibration. The weights keep their names, because other parts of
training read them. `training.bundle.quick_graph` brings the graph into the form that is served.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from router.onnx_quality_model import INPUT_NAMES, OUTPUT_NAMES
from training.network.calibration import LONGEST_LOG_TOKENS
from training.network.fitted_model import FittedModel
from training.network.fused_weights import FusedWeights, fuse_weights
from training.network.input_scaler import INPUT_LIMIT, InputScaler
from training.network.static_table import StaticTable

_OPSET = 20
_IR_VERSION = 10

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True, eq=False)
class GraphParts:
    """Everything that the graph holds; `m` models.

    Args:
        table, scaler: Stages from text to the network's input.
        fused: Calibrated network.
        intercept_variance: Shape (m,); variance of the intercepts, see `training.network.calibration.Calibration`.
        n_factors: Number of factors among the demands of a prompt; the other demands are tasks.
        n_token_hidden: Width of the layer that answer lengths are read from.
    """

    table: StaticTable
    scaler: InputScaler
    fused: FusedWeights
    intercept_variance: npt.NDArray[np.float32]
    n_factors: int
    n_token_hidden: int

    @property
    def n_models(self) -> int:
        """Number of models that the graph predicts."""
        return len(self.intercept_variance)


def build_graph(fitted: FittedModel) -> ModelProto:
    """Return the checked graph of a fitted model; the same model gives the same bytes."""
    return assemble_graph(
        GraphParts(
            fitted.table,
            fitted.scaler,
            fuse_weights(fitted.network, fitted.calibration),
            np.asarray(fitted.calibration.intercept_variance, np.float32),
            fitted.settings.n_factors,
            fitted.settings.n_token_hidden,
        )
    )


def assemble_graph(parts: GraphParts) -> ModelProto:
    """Return the checked graph of these parts; the same parts give the same bytes."""
    weights = _weights(parts) | {"intercept_variance": parts.intercept_variance}
    return _assemble(weights, parts.n_factors, parts.n_token_hidden)


def plain_from_arrays(arrays: Arrays) -> ModelProto:
    """Return the checked graph with these arrays, and with as many features as they are for.

    Args:
        arrays: Weights by their names in the graph, and the numbers `n_factors` and `n_token_hidden`.
    """
    weights = dict(arrays)
    n_factors, n_token_hidden = (int(weights.pop(name)) for name in ("n_factors", "n_token_hidden"))
    return _assemble(weights, n_factors, n_token_hidden)


def _assemble(weights: Arrays, n_factors: int, n_token_hidden: int) -> ModelProto:
    n_models = len(weights["intercept_variance"])
    n_features = len(weights["input_mean"]) - weights["table_rows"].shape[1]
    arrays = weights | _shapes(weights, n_factors, n_token_hidden) | _constants()
    nodes = plain_nodes()
    graph = helper.make_graph(
        nodes,
        "quality_model",
        [
            helper.make_tensor_value_info(INPUT_NAMES[0], TensorProto.INT64, ["n_tokens"]),
            helper.make_tensor_value_info(INPUT_NAMES[1], TensorProto.FLOAT, [1, n_features]),
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [n_models] if place < 3 else [1])
            for place, name in enumerate(OUTPUT_NAMES)
        ],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, producer_name="llmdeal", opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    checker.check_model(model, full_check=True)
    return model


def plain_nodes() -> list[NodeProto]:
    """Return the nodes of the graph, without those of a demand network."""
    return [*input_nodes(), *_network_nodes(), *_quality_nodes(), *_token_nodes()]


def _weights(parts: GraphParts) -> Arrays:
    return {
        "table_rows": parts.table.rows,
        "table_scales": parts.table.row_scales[
            None
        ],  # one row, so that the gathered scales are a factor of a matrix product
        "input_mean": parts.scaler.mean,
        "input_inverse_std": parts.scaler.inverse_std,
        **{entry.name: getattr(parts.fused, entry.name) for entry in fields(parts.fused)},
    }


def _shapes(weights: Arrays, n_factors: int, n_token_hidden: int) -> Arrays:
    members, n_hidden, n_demands = weights["demand_matrix"].shape
    n_models = len(weights["intercept_variance"])
    return {
        "member_shape": np.array([members, 1, n_hidden + n_token_hidden], np.int64),
        "layer_widths": np.array([n_hidden, n_token_hidden], np.int64),
        "demand_widths": np.array([n_factors, n_demands - n_factors], np.int64),
        "head_widths": np.array([n_models, n_models, 1], np.int64),
        "logits_end": np.array([n_models], np.int64),
    }


def _constants() -> Arrays:
    return {
        "one": np.array(1, np.float32),
        "lowest_input": np.array(-INPUT_LIMIT, np.float32),
        "highest_input": np.array(INPUT_LIMIT, np.float32),
        "zero": np.array(0, np.float32),
        "longest_log_tokens": np.array(LONGEST_LOG_TOKENS, np.float32),
        "logits_begin": np.array([0], np.int64),
        "member_axes": np.array([0, 1], np.int64),
    }


def _node(operator: str, inputs: str, output: str, **attributes: int) -> NodeProto:
    return helper.make_node(operator, inputs.split(), [output], None, None, None, None, **attributes)


def input_nodes() -> list[NodeProto]:
    """Return the nodes from text to standardised input, as in `StaticTable.embed` and `InputScaler.transform`."""
    return [
        _node("Gather", "table_rows token_ids", "rows_8bit"),
        _node("Cast", "rows_8bit", "rows", to=TensorProto.FLOAT),
        _node("Gather", "table_scales token_ids", "row_weights", axis=1),
        _node("MatMul", "row_weights rows", "total"),
        _node("LpNormalization", "total", "embedding", axis=1, p=2),
        _node("Concat", "embedding features", "raw_input", axis=1),
        _node("Sub", "raw_input input_mean", "centred_input"),
        _node("Mul", "centred_input input_inverse_std", "scaled_input"),
        _node("Clip", "scaled_input lowest_input highest_input", "input"),
    ]


def _network_nodes() -> list[NodeProto]:
    """Return the nodes of `RoutingNetwork.forward` without dropout, on fused weights."""
    return [
        _node("MatMul", "input hidden_matrix", "hidden_sum"),
        _node("Add", "hidden_sum hidden_offset", "hidden_shifted"),
        _node("Gelu", "hidden_shifted", "hidden_row"),
        _node("Reshape", "hidden_row member_shape", "layers"),  # (members, 1, n_hidden + n_token_hidden)
        _split("layers layer_widths", "hidden length"),
        _node("MatMul", "hidden demand_matrix", "demand_sum"),
        _node("Add", "demand_sum demand_offset", "member_demand"),
        _split("member_demand demand_widths", "factor_sum task_logits"),
        _node("Gelu", "factor_sum", "factors"),
        _node("Softmax", "task_logits", "task", axis=-1),
        _node("Concat", "factors task length", "prompt_view", axis=-1),
        _node("MatMul", "prompt_view head_matrix", "head_sum"),
        _node("Add", "head_sum head_offset", "heads"),
        _node("ReduceMean", "heads member_axes", "beliefs", keepdims=0),
        _split("beliefs head_widths", "logits log_tokens difficulty"),
    ]


def _split(inputs: str, outputs: str) -> NodeProto:
    return helper.make_node("Split", inputs.split(), outputs.split(), None, None, None, None, axis=-1)


def _quality_nodes() -> list[NodeProto]:
    return [
        _node("Sigmoid", "logits", "quality"),
        _node("Sub", "heads beliefs", "deviations"),
        _node("Mul", "deviations deviations", "squared_deviations"),
        _node("ReduceMean", "squared_deviations member_axes", "variances", keepdims=0),
        _node("Slice", "variances logits_begin logits_end", "logit_variance"),
        _node("Add", "logit_variance intercept_variance", "belief_variance"),
        _node("Sqrt", "belief_variance", "logit_std"),
        _node("Sub", "one quality", "doubt"),
        _node("Mul", "quality doubt", "steepness"),
        _node("Mul", "steepness logit_std", "quality_std"),
    ]


def _token_nodes() -> list[NodeProto]:
    return [
        _node("Clip", "log_tokens zero longest_log_tokens", "sane_log_tokens"),
        _node("Exp", "sane_log_tokens", "completion_tokens"),
        _node("ReduceMean", "completion_tokens", "typical_completion_tokens", keepdims=1),
    ]
