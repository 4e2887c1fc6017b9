"""The quick form of a graph predicts what the plain form predicts, and its weights come back."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from checkout import SHIPPED_BUNDLE
from onnx import helper, numpy_helper

from router.bundle import load_bundle
from router.context import RouteContext
from router.features import FEATURE_NAMES, extract_features
from router.onnx_quality_model import OnnxQualityModel
from router.tokenizer import WordPieceTokenizer
from training.bundle.export_onnx import GraphParts, assemble_graph
from training.bundle.quick_graph import is_quick, plain_graph, quick_graph, quicken_bundle
from training.errors import SettingsError
from training.network.base_bundle import read_base_bundle
from training.network.fused_weights import FusedWeights
from training.network.input_scaler import InputScaler
from training.network.static_table import StaticTable

PROMPTS = ["What is 2 + 2?", "Prove it.\n\n(A) yes (B) no", "Größe ist 7 × 8 日本", "x" * 5000, "?", "800字的文章"]
_PARTLY_KEPT = "head_offset"  # offsets of lengths and difficulty become the members' mean


@pytest.fixture(scope="module")
def shipped() -> onnx.ModelProto:
    return plain_graph(onnx.load(str(SHIPPED_BUNDLE / "model.onnx")))


def _random_graph(members: int) -> onnx.ModelProto:
    random = np.random.default_rng(members)

    def draw(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return random.normal(0, 0.3, shape).astype(np.float32)

    n_inputs, n_hidden, n_length, n_factors, n_tasks, n_models = 8 + len(FEATURE_NAMES), 6, 5, 4, 3, 7
    fused = FusedWeights(
        draw(n_inputs, members * (n_hidden + n_length)),
        draw(members * (n_hidden + n_length)),
        draw(members, n_hidden, n_factors + n_tasks),
        draw(members, 1, n_factors + n_tasks),
        draw(members, n_factors + n_tasks + n_length, 2 * n_models + 1),
        draw(members, 1, 2 * n_models + 1),
    )
    table = StaticTable(random.integers(-127, 128, (30_522, 8)).astype(np.int8), np.full(30_522, 0.01, np.float32), b"")
    scaler = InputScaler(draw(n_inputs), np.abs(draw(n_inputs)) + np.float32(0.5))
    return assemble_graph(GraphParts(table, scaler, fused, np.abs(draw(n_models)), n_factors, n_length))


def _outputs(graph: onnx.ModelProto) -> list[dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    tokenizer = WordPieceTokenizer.from_file(SHIPPED_BUNDLE / "tokenizer.json")
    contexts = [RouteContext.from_prompt(prompt) for prompt in PROMPTS]
    return [
        dict(
            zip(
                names,
                session.run(
                    names, {"token_ids": tokenizer.encode(context.text), "features": extract_features(context)}
                ),
                strict=True,
            )
        )
        for context in contexts
    ]


def _assert_equal_predictions(graph: onnx.ModelProto, other: onnx.ModelProto) -> None:
    for before, after in zip(_outputs(graph), _outputs(other), strict=True):
        assert before.keys() == after.keys()
        for name in before:
            assert after[name] == pytest.approx(before[name], rel=1e-5, abs=1e-5), name


def _assert_equal_weights(graph: onnx.ModelProto, other: onnx.ModelProto) -> None:
    before, after = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in each.graph.initializer} for each in (graph, other)
    )
    assert before.keys() == after.keys()
    for name in before.keys() - {_PARTLY_KEPT}:
        assert after[name] == pytest.approx(before[name], rel=1e-6, abs=1e-7), name
    n_models = len(before["intercept_variance"])
    offset, offset_after = before[_PARTLY_KEPT], after[_PARTLY_KEPT]
    assert offset_after[..., :n_models] == pytest.approx(offset[..., :n_models], abs=1e-6)
    mean = offset[..., n_models:].mean(axis=0, keepdims=True)
    assert offset_after[..., n_models:] == pytest.approx(
        np.broadcast_to(mean, offset_after[..., n_models:].shape), 1e-5
    )


def test_the_shipped_graph_predicts_the_same_in_both_forms(shipped: onnx.ModelProto) -> None:
    quick = quick_graph(shipped)
    assert is_quick(quick)
    assert not is_quick(shipped)
    assert len(quick.graph.node) < 0.8 * len(shipped.graph.node)
    _assert_equal_predictions(shipped, quick)
    _assert_equal_weights(shipped, plain_graph(quick))


@pytest.mark.parametrize("members", [1, 2, 3])
def test_any_number_of_members_predicts_the_same_in_both_forms(members: int) -> None:
    plain = _random_graph(members)
    quick = quick_graph(plain)
    _assert_equal_predictions(plain, quick)
    _assert_equal_predictions(plain, plain_graph(quick))
    _assert_equal_weights(plain, plain_graph(quick))


def test_each_form_stays_as_it_is(shipped: onnx.ModelProto) -> None:
    quick = quick_graph(shipped)
    assert quick_graph(quick) == quick
    assert plain_graph(shipped) == shipped
    assert quick_graph(shipped).SerializeToString(deterministic=True) == quick.SerializeToString(deterministic=True)


def test_a_graph_with_other_nodes_is_refused(shipped: onnx.ModelProto) -> None:
    edited = onnx.ModelProto()
    edited.CopyFrom(shipped)
    edited.graph.node.append(helper.make_node("Identity", ["quality"], ["further"]))
    with pytest.raises(SettingsError, match="other nodes than llmdeal train writes"):
        quick_graph(edited)


def test_the_shipped_bundle_is_quick() -> None:
    assert is_quick(onnx.load(str(SHIPPED_BUNDLE / "model.onnx")))


def test_a_bundle_with_a_plain_graph_is_quickened_in_place(tmp_path: Path, shipped: onnx.ModelProto) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(SHIPPED_BUNDLE, folder)
    plain = shipped.SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(plain)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = sha256(plain).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    contexts = [RouteContext.from_prompt(prompt) for prompt in PROMPTS]
    before = [OnnxQualityModel(load_bundle(folder)).predict(context) for context in contexts]
    weights = read_base_bundle(folder).weights
    quicken_bundle(folder)
    assert is_quick(onnx.load(str(folder / "model.onnx")))
    quick = OnnxQualityModel(load_bundle(folder))
    for context, wanted in zip(contexts, before, strict=True):
        prediction = quick.predict(context)
        assert prediction.quality == pytest.approx(wanted.quality, abs=1e-5)
        assert prediction.demand == pytest.approx(wanted.demand, abs=1e-5)
    for name, array in read_base_bundle(folder).weights.items():
        if name != "tokens_bias":
            assert array == pytest.approx(weights[name], abs=1e-6), name


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Name the folder of a bundle"):
        quicken_bundle(tmp_path)
