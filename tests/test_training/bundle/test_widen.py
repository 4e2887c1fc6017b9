"""A bundle that is made to accept new features predicts what it predicted before."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from checkout import SHIPPED_BUNDLE
from onnx import numpy_helper

from router.bundle import load_bundle
from router.context import RouteContext
from router.features import FEATURE_NAMES, FEATURES_VERSION, extract_features
from router.onnx_quality_model import OnnxQualityModel
from router.tokenizer import WordPieceTokenizer
from training.bundle.quick_graph import plain_graph
from training.bundle.widen import widen_bundle
from training.errors import SettingsError

NEW = (FEATURE_NAMES[3], FEATURE_NAMES[-2])
PROMPTS = ["What is 2 + 2?", "Prove it.\n\n(A) yes (B) no", "Größe ist 7 × 8 日本"]


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A bundle of an earlier version, without two of the present features."""
    folder = tmp_path / "older"
    shutil.copytree(SHIPPED_BUNDLE, folder)
    model = plain_graph(onnx.load(str(folder / "model.onnx")))
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    first = numpy_helper.to_array(tensors["table_rows"]).shape[1]
    for name in ("input_mean", "input_inverse_std", "hidden_matrix", "work_hidden_matrix"):
        gone = [first + FEATURE_NAMES.index(feature) for feature in NEW]
        tensors[name].CopyFrom(numpy_helper.from_array(np.delete(numpy_helper.to_array(tensors[name]), gone, 0), name))
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = len(FEATURE_NAMES) - len(NEW)
    graph = model.SerializeToString()
    (folder / "model.onnx").write_bytes(graph)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["features_version"] -= 1
    manifest["files"]["model.onnx"] = sha256(graph).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(card.replace(f"version {FEATURES_VERSION},", f"version {FEATURES_VERSION - 1},"))
    return folder


def test_a_widened_bundle_loads_and_predicts_as_before(older: Path) -> None:
    before = onnxruntime.InferenceSession(older / "model.onnx")
    widen_bundle(older, NEW)
    widened = OnnxQualityModel(load_bundle(older))
    tokenizer = WordPieceTokenizer.from_file(older / "tokenizer.json")
    kept = [place for place, name in enumerate(FEATURE_NAMES) if name not in NEW]
    for prompt in PROMPTS:
        context = RouteContext.from_prompt(prompt)
        inputs = {"token_ids": tokenizer.encode(context.text), "features": extract_features(context)[:, kept]}
        (quality,) = before.run(["quality"], inputs)
        assert widened.predict(context).quality == pytest.approx(quality, abs=1e-6)
    assert f"Feature version {FEATURES_VERSION}," in (older / "README.md").read_text()


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["log_stars"], "log_stars: no entry of FEATURE_NAMES"),
        (NEW[:1], "Name exactly the features that you added"),
    ],
)
def test_wrong_features_are_refused_and_change_nothing(older: Path, names: list[str], complaint: str) -> None:
    before = (older / "model.onnx").read_bytes()
    with pytest.raises(SettingsError, match=complaint):
        widen_bundle(older, names)
    assert (older / "model.onnx").read_bytes() == before


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        widen_bundle(tmp_path, NEW)
