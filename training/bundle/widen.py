"""Makes a bundle accept new features, which it ignores. So gateway and tests run before the bundle is retrained.

`python -m training.bundle.widen models/llmdeal-base-2 log_exclamations` changes the bundle in place.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from router.bundle import CARD_FILE, GRAPH_FILE, MANIFEST_FILE
from router.features import FEATURE_NAMES, FEATURES_VERSION
from router.onnx_quality_model import INPUT_NAMES
from training.atomic_write import replace_file
from training.bundle.quick_graph import plain_graph, quick_graph
from training.errors import SettingsError, TrainingError

_BY_INPUT = ("input_mean", "input_inverse_std", "hidden_matrix", "work_hidden_matrix")
"""Arrays of the graph with one entry for each input: first the dimensions of the text, then the features."""


def widen_bundle(folder: Path, new_names: Sequence[str]) -> None:
    """Let the bundle read the present features. Its predictions stay the same.

    The entries of the new features are 0 in every array, so they are scaled to 0 and have no weight. The model card
    says the new feature version.

    Args:
        folder: Folder of the bundle; it is changed in place.
        new_names: Entries of `FEATURE_NAMES` that the bundle does not have. It has all others, in the same order.

    Raises:
        SettingsError: The folder holds no bundle, or the bundle's features are others.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
        model = plain_graph(onnx.load_model_from_string((folder / GRAPH_FILE).read_bytes()))
        card = (folder / CARD_FILE).read_text(encoding="utf-8")
    except OSError as problem:
        raise SettingsError(f"{problem.filename}: cannot be read. Name the folder of a bundle.") from None
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    n_dimensions = numpy_helper.to_array(tensors["table_rows"]).shape[1]
    n_features = numpy_helper.to_array(tensors["input_mean"]).shape[0] - n_dimensions
    unknown = sorted(set(new_names) - set(FEATURE_NAMES))
    if unknown:
        raise SettingsError(f"{', '.join(unknown)}: no entry of FEATURE_NAMES. Use the names in router/features.py.")
    kept = [place for place, name in enumerate(FEATURE_NAMES) if name not in new_names]
    if len(kept) != n_features:
        raise SettingsError(
            f"{folder}: reads {n_features} features, but without the new ones there are {len(kept)}. "
            "Name exactly the features that you added."
        )
    n_inputs = n_dimensions + len(FEATURE_NAMES)
    places = [*range(n_dimensions), *(n_dimensions + place for place in kept)]
    for name in [name for name in _BY_INPUT if name in tensors]:  # without catalogue models, the last one is missing
        tensors[name].CopyFrom(
            numpy_helper.from_array(_spread(numpy_helper.to_array(tensors[name]), places, n_inputs), name)
        )
    (features,) = (given for given in model.graph.input if given.name == INPUT_NAMES[1])
    features.type.tensor_type.shape.dim[1].dim_value = len(FEATURE_NAMES)
    graph = quick_graph(model).SerializeToString(deterministic=True)
    manifest["features_version"] = FEATURES_VERSION
    manifest["files"][GRAPH_FILE] = sha256(graph).hexdigest()
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    replace_file(folder / GRAPH_FILE, lambda stream: stream.write(graph))
    replace_file(folder / MANIFEST_FILE, lambda stream: stream.write(text.encode()))
    card = re.sub(r"^Feature version \d+", f"Feature version {FEATURES_VERSION}", card, flags=re.MULTILINE)
    replace_file(folder / CARD_FILE, lambda stream: stream.write(card.encode()))


def _spread(array: npt.NDArray[np.float32], places: Sequence[int], n_inputs: int) -> npt.NDArray[np.float32]:
    """Return an array of `n_inputs` rows that has these rows at these places, and zeros elsewhere."""
    widened = np.zeros((n_inputs, *array.shape[1:]), np.float32)
    widened[places] = array
    return widened


def main() -> None:
    """Widen the bundle that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m training.bundle.widen", description=__doc__)
    parser.add_argument("bundle", type=Path, help="folder of the bundle; it is changed in place")
    parser.add_argument("new_feature", nargs="+", help="entry of FEATURE_NAMES that the bundle does not have")
    arguments = parser.parse_args()
    try:
        widen_bundle(arguments.bundle, arguments.new_feature)
    except TrainingError as problem:
        sys.exit(f"widen: {problem}")
    print(f"{arguments.bundle} now reads {len(FEATURE_NAMES)} features, version {FEATURES_VERSION}.")


if __name__ == "__main__":
    main()
