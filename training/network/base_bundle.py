"""An earlier bundle as the prior of a new fit (`--from`).

Its table, its scaler and its network's weights are read back from the graph.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from router.bundle import load_bundle, read_manifest
from router.errors import BundleError
from training.network.ensemble import MODEL_WEIGHTS, TRUNK_WEIGHTS, RoutingNetwork
from training.network.fused_weights import FusedWeights, difficulty_offset_of, unfuse_weights
from training.network.input_scaler import InputScaler
from training.network.packed_weights import plain_network
from training.network.static_table import StaticTable
from training.settings import FitSettings


@dataclass(frozen=True, slots=True, eq=False)
class BaseBundle:
    """The parts of an earlier bundle that a new fit starts from.

    Args:
        version: Version of the earlier bundle.
        trained_names: Models of the earlier bundle.
        table, scaler: Table and scaler that the new fit keeps unchanged; the trunk only understands its own inputs.
        settings: Settings of the earlier fit; the new fit keeps its widths.
        weights: Name -> array, with the names of `training.network.ensemble.RoutingNetwork`.
        difficulty_offset: Offset that the new fit keeps, so that priors of untrained models keep their meaning.
    """

    version: str
    trained_names: tuple[str, ...]
    table: StaticTable
    scaler: InputScaler
    settings: FitSettings
    weights: dict[str, npt.NDArray[np.float32]]
    difficulty_offset: float

    def transfer(self, network: RoutingNetwork, trained_names: tuple[str, ...]) -> None:
        """Copy the trunk, and the columns of the models that both know, into a fresh `network` for `trained_names`."""
        place = {name: column for column, name in enumerate(self.trained_names)}
        shared = [(place[name], column) for column, name in enumerate(trained_names) if name in place]
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if name in TRUNK_WEIGHTS:
                    parameter.copy_(torch.from_numpy(self.weights[name].copy()))
                elif name in MODEL_WEIGHTS:
                    for theirs, ours in shared:
                        parameter[..., ours] = torch.from_numpy(self.weights[name][..., theirs].copy())


def read_base_bundle(folder: Path) -> BaseBundle:
    """Read a bundle that `llmdeal train` wrote.

    Raises:
        BundleError: The bundle is not complete, or another version made it.
    """
    import onnx
    from onnx import numpy_helper

    bundle, manifest = load_bundle(folder), read_manifest(folder)
    graph = onnx.load(bundle.graph_path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in graph.initializer}
    recorded = manifest.get("settings")
    try:
        arrays = plain_network(stored)
        names = {field.name for field in fields(FitSettings)}
        assert isinstance(recorded, dict)
        settings = FitSettings(**{name: value for name, value in recorded.items() if name in names})
        fused = FusedWeights(*(arrays[entry.name] for entry in fields(FusedWeights)))
        return BaseBundle(
            bundle.version,
            bundle.trained_names,
            StaticTable(arrays["table_rows"], arrays["table_scales"][0], bundle.tokenizer_path.read_bytes()),
            InputScaler(arrays["input_mean"], arrays["input_inverse_std"]),
            settings,
            unfuse_weights(fused, settings, len(bundle.trained_names)),
            difficulty_offset_of(fused),
        )
    except (KeyError, TypeError, AssertionError) as problem:
        raise BundleError(
            f"{folder}: cannot be the base of a fit (it lacks {problem}): use a bundle that llmdeal train wrote"
        ) from None
