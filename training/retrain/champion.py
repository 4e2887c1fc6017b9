"""Reads the bundle in use back from its graph, as the numbers that a retraining changes.

Unchanged, the numbers give exactly the bundle's predictions.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from router.bundle import Bundle, load_bundle, read_manifest
from router.errors import BundleError
from router.reference_answers import ReferenceAnswers
from training.bundle.export_onnx import GraphParts
from training.bundle.quick_graph import plain_graph
from training.demand.graph import DemandWeights, demand_weights_of
from training.network.fused_weights import FusedWeights
from training.network.input_scaler import InputScaler
from training.network.static_table import StaticTable

Float32s = npt.NDArray[np.float32]
Manifest = dict[str, Any]  # parsed JSON that llmdeal wrote


@dataclass(frozen=True, slots=True, eq=False)
class Champion:
    """A bundle as numbers.

    Args:
        bundle: Checked bundle.
        manifest: Manifest of the bundle.
        parts: Parts of its graph.
        reference: Its reference answers, a sample of graded answers.
        demand: Demand network of its graph; None: it knows no catalogue models.
    """

    bundle: Bundle
    manifest: Manifest
    parts: GraphParts
    reference: ReferenceAnswers
    demand: DemandWeights | None = None

    @property
    def trained_names(self) -> tuple[str, ...]:
        """Names of the models that it predicts, in the order of its outputs."""
        return self.bundle.trained_names


def read_champion(folder: Path) -> Champion:
    """Read a bundle that `llmdeal train` or `llmdeal retrain` wrote.

    Raises:
        BundleError: The bundle is not complete, or this version did not write it.
    """
    import onnx
    from onnx import numpy_helper

    bundle, manifest = load_bundle(folder), read_manifest(folder)
    try:
        model = plain_graph(onnx.load(bundle.graph_path))
        arrays = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in model.graph.initializer}
        parts = GraphParts(
            StaticTable(arrays["table_rows"], arrays["table_scales"][0], bundle.tokenizer_path.read_bytes()),
            InputScaler(arrays["input_mean"], arrays["input_inverse_std"]),
            FusedWeights(*(arrays[entry.name] for entry in fields(FusedWeights))),
            arrays["intercept_variance"],
            int(arrays["demand_widths"][0]),
            int(arrays["layer_widths"][1]),
        )
    except KeyError as problem:
        raise BundleError(
            f"{folder}: a retraining cannot start from this bundle (its graph lacks {problem}): use one that llmdeal "
            "train wrote"
        ) from None
    return Champion(bundle, dict(manifest), parts, bundle.read_reference(), demand_weights_of(model))
