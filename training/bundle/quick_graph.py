"""The graph of a bundle in two forms: the plain one, whose weights training reads, and the quick one that is served.

Both predict the same, within the rounding of 32-bit numbers. The quick form has a fifth fewer operators:

- The first layers of the quality network and of the demand network are one product of the input.
- The members of the ensemble share each later product. Their second layers stand on the diagonal of one matrix.
- The last product gives the mean of the members' beliefs, and contrasts instead of the members themselves. The squares
  of the contrasts add up to the variance.
- The demand vector is the product of two vectors: one is linear in the kinds of work, the other in the factors.

`plain_graph(quick_graph(model))` has the weights of `model`. Only the members' offsets of lengths and difficulty become
their mean, because no more than that is served.

`python -m training.bundle.quick_graph models/llmdeal-base-2` rewrites the graph of a bundle in its quick form.
"""

import argparse
import json
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper

from router.bundle import GRAPH_FILE, MANIFEST_FILE
from router.onnx_quality_model import DEMAND_OUTPUT
from training.atomic_write import replace_file
from training.bundle.export_onnx import input_nodes, plain_from_arrays, plain_nodes
from training.demand.graph import MOST_UNFAMILIAR, N_GATED, DemandWeights, demand_nodes, demand_weights_of, with_demand
from training.errors import SettingsError, TrainingError
from training.network.packed_weights import KEPT, PACKED_MARK, Arrays, compact, pack_network, plain_network

_CONSTANTS = ("one", "lowest_input", "highest_input", "zero", "longest_log_tokens")


def is_quick(model: ModelProto) -> bool:
    """Return whether a graph has the quick form."""
    return any(tensor.name == PACKED_MARK for tensor in model.graph.initializer)


def quick_graph(model: ModelProto) -> ModelProto:
    """Return the quick form of a graph that `training.bundle.export_onnx` wrote; the same graph gives the same bytes.

    Raises:
        SettingsError: The graph has other nodes than the plain form.
    """
    if is_quick(model):
        return model
    demand = demand_weights_of(model)
    if list(model.graph.node) != [*plain_nodes(), *(() if demand is None else demand_nodes())]:
        raise SettingsError(
            "The graph has other nodes than llmdeal train writes. Use a bundle of llmdeal train or llmdeal retrain."
        )
    arrays = _arrays_of(model)
    packed, nodes = {name: arrays[name] for name in (*KEPT, *_CONSTANTS)}, list(input_nodes())
    packed |= pack_network(arrays, None if demand is None else (demand.hidden_matrix, demand.hidden_offset))
    nodes += _network_nodes(packed)
    if demand is not None:
        packed |= _demand_arrays(demand)
        nodes += _demand_nodes()
    quick = ModelProto()
    quick.CopyFrom(model)
    for field, content in (
        ("initializer", [numpy_helper.from_array(array, name) for name, array in packed.items()]),
        ("node", nodes),
    ):
        quick.graph.ClearField(field)
        getattr(quick.graph, field).extend(content)
    onnx.checker.check_model(quick, full_check=True)
    return quick


def plain_graph(model: ModelProto) -> ModelProto:
    """Return the plain form of a graph in either form."""
    if not is_quick(model):
        return model
    arrays = _arrays_of(model)
    demand = _demand_of(arrays)
    plain = plain_from_arrays(plain_network(arrays))
    return plain if demand is None else with_demand(plain, demand)


def _arrays_of(model: ModelProto) -> Arrays:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _network_nodes(packed: Arrays) -> list[NodeProto]:
    members = len(packed["second_widths"]) - 1
    tasks = [f"task_logits_{member}" for member in range(members)]
    shares = [f"task_{member}" for member in range(members)]
    has_demand = len(packed[PACKED_MARK]) > 2
    nodes = [
        _node("Gemm", "input first_matrix first_offset", "first_sum"),
        _node("Gelu", "first_sum", "first"),
        _node("Split", f"first {PACKED_MARK}", f"hidden length{' work_hidden' * has_demand}", axis=-1),
        _node("Gemm", "hidden second_matrix second_offset", "second"),
        _node("Split", "second second_widths", f"factor_sums {' '.join(tasks)}", axis=-1),
        _node("Gelu", "factor_sums", "factors"),
        *(_node("Softmax", logits, share, axis=-1) for logits, share in zip(tasks, shares, strict=True)),
        _node("Concat", f"factors {' '.join(shares)} length", "view", axis=-1),
        _node("Gemm", "view last_matrix last_offset", "last_row"),
        _node("Squeeze", "last_row first_axis", "last"),
        _node("Split", "last last_widths", f"logits log_tokens difficulty{' contrast' * (members > 1)}", axis=-1),
        _node("Sigmoid", "logits", "quality"),
    ]
    variance = "intercept_variance"
    if "contrast_shape" in packed:
        nodes += [
            _node("Reshape", "contrast contrast_shape", "contrasts"),
            _node("ReduceSumSquare", "contrasts first_axis", "logit_variance", keepdims=0),
        ]
    elif members > 1:
        nodes.append(_node("Mul", "contrast contrast", "logit_variance"))
    if members > 1:
        nodes.append(_node("Add", "logit_variance intercept_variance", "belief_variance"))
        variance = "belief_variance"
    return [
        *nodes,
        _node("Sqrt", variance, "logit_std"),
        _node("Sub", "one quality", "doubt"),
        _node("Mul", "quality doubt", "steepness"),
        _node("Mul", "steepness logit_std", "quality_std"),
        _node("Clip", "log_tokens zero longest_log_tokens", "sane_log_tokens"),
        _node("Exp", "sane_log_tokens", "completion_tokens"),
        _node("ReduceMean", "completion_tokens", "typical_completion_tokens", keepdims=1),
    ]


def _demand_arrays(demand: DemandWeights) -> Arrays:
    """Return the arrays behind the first layer of the demand network.

    The demand vector is `shares . kinds` times `numbers`, entry by entry. Its entries are the reference share, how
    unfamiliar the prompt is, the kinds, the gated numbers, the share of asked work, and 1.
    """
    n_kinds, n_factors = len(demand.shares), len(demand.number_matrix)
    n_demands = 2 + n_kinds + N_GATED + 2
    numbers = _number_places(n_kinds)
    usual, spread = demand.familiar.astype(np.float64)
    by_factor = np.zeros((n_factors + 1, n_demands))
    by_factor[:-1, numbers] = demand.number_matrix
    by_factor[-1, 1] = 1 / spread
    offset = np.ones(n_demands)
    offset[numbers] = demand.number_offset
    offset[1] = -usual / spread
    shares = np.ones((n_kinds, n_demands))
    shares[:, 0] = demand.shares[:, -1]
    shares[:, 2 : 2 + n_kinds] = np.eye(n_kinds)
    shares[:, 2 + n_kinds : -1] = demand.shares[:, :-1]
    packed = {
        "work_second_matrix": demand.layer_matrix,
        "work_second_offset": demand.layer_offset,
        "work_second_widths": np.array([n_kinds, n_factors], np.int64),
        "work_number_matrix": by_factor,
        "work_number_offset": offset,
        "work_share_matrix": shares,
        "work_least_squares": np.exp(usual),
        "work_most_squares": np.exp(usual + MOST_UNFAMILIAR * spread),
    }
    return {name: compact(np.asarray(array)).reshape(np.shape(array)) for name, array in packed.items()}


def _number_places(n_kinds: int) -> slice:
    """Return the places of the gated numbers in the demand vector."""
    return slice(2 + n_kinds, 2 + n_kinds + N_GATED)


def _demand_nodes() -> list[NodeProto]:
    return [
        _node("Gemm", "work_hidden work_second_matrix work_second_offset", "work_second"),
        _node("Split", "work_second work_second_widths", "work_kind_logits work_factor_sums", axis=-1),
        _node("Softmax", "work_kind_logits", "work_kinds", axis=-1),
        _node("Gelu", "work_factor_sums", "work_factors"),
        _node("ReduceSumSquare", "input", "work_squares", keepdims=1),
        _node("Clip", "work_squares work_least_squares work_most_squares", "work_sane_squares"),
        _node("Log", "work_sane_squares", "work_spread"),
        _node("Concat", "work_factors work_spread", "work_view", axis=-1),
        _node("Gemm", "work_view work_number_matrix work_number_offset", "work_numbers"),
        _node("MatMul", "work_kinds work_share_matrix", "work_shares"),
        _node("Mul", "work_shares work_numbers", "work_row"),
        _node("Squeeze", "work_row first_axis", DEMAND_OUTPUT),
    ]


def _node(operator: str, inputs: str, outputs: str, **attributes: int) -> NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), None, None, None, None, **attributes)


def _demand_of(arrays: Arrays) -> DemandWeights | None:
    """Return the demand network of the quick form; None: it has none."""
    if "work_share_matrix" not in arrays:
        return None
    n_kinds, _ = arrays["work_second_widths"].tolist()
    numbers = _number_places(n_kinds)
    begin = sum(arrays[PACKED_MARK].tolist()[:2])
    by_factor, offset, shares = (arrays[f"work_{name}"] for name in ("number_matrix", "number_offset", "share_matrix"))
    spread = 1 / by_factor[-1, 1].astype(np.float64)
    weights = (
        arrays["first_matrix"][:, begin:],
        arrays["first_offset"][begin:],
        arrays["work_second_matrix"],
        arrays["work_second_offset"],
        by_factor[:-1, numbers],
        offset[numbers],
        np.concatenate([shares[:, 2 + n_kinds : -1], shares[:, :1]], axis=1),
        np.array([-offset[1] * spread, spread]),
    )
    return DemandWeights(*(np.ascontiguousarray(array, np.float32) for array in weights))


def quicken_bundle(folder: Path) -> None:
    """Bring the graph of a bundle into its quick form, in place. Its predictions stay the same.

    Raises:
        SettingsError: The folder holds no bundle, or another program wrote its graph.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
        model = onnx.load_model_from_string((folder / GRAPH_FILE).read_bytes())
    except OSError as problem:
        raise SettingsError(f"{problem.filename}: cannot be read. Name the folder of a bundle.") from None
    graph = quick_graph(plain_graph(model)).SerializeToString(deterministic=True)
    manifest["files"][GRAPH_FILE] = sha256(graph).hexdigest()
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    replace_file(folder / GRAPH_FILE, lambda stream: stream.write(graph))
    replace_file(folder / MANIFEST_FILE, lambda stream: stream.write(text.encode()))


def main() -> None:
    """Quicken the bundle that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m training.bundle.quick_graph", description=__doc__)
    parser.add_argument("bundle", type=Path, help="folder of the bundle; it is changed in place")
    arguments = parser.parse_args()
    try:
        quicken_bundle(arguments.bundle)
    except TrainingError as problem:
        sys.exit(f"quick_graph: {problem}")
    print(f"{arguments.bundle} now has a quick graph.")


if __name__ == "__main__":
    main()
