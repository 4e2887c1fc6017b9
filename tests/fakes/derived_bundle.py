"""Bundles that differ from the shipped one in a known way.

They are made by editing its graph, in a tenth of a second, and work like trained ones.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
from checkout import SHIPPED_BUNDLE
from onnx import TensorProto, helper, numpy_helper

from router.arrays import Float32s
from router.bundle import HASHED_FILES, load_bundle
from router.catalogue_models import CATALOGUE_FILE, CatalogueModels
from router.reference_answers import ReferenceAnswers
from router.verdict import Guard, Interval, Verdict, write_verdict
from training.bundle.quick_graph import plain_graph
from training.demand.graph import without_demand

_PER_MODEL = ("quality", "quality_std", "completion_tokens")


DEMAND_NAMES = ("reference", "unfamiliar", "everyday", "hardness", "one")
"""Demands of the derived bundles that have catalogue models."""


def derive_bundle(
    folder: Path,
    *,
    is_contrary: bool = False,
    leaves_out: int = 0,
    adds: Mapping[str, str] | None = None,
    catalogue: CatalogueModels | None = None,
    keeps_catalogue: bool = False,
) -> Path:
    """Write a bundle whose name is the folder's, and return the folder.

    It has no catalogue models, unless some are given.

    Args:
        folder: Folder of the new bundle.
        is_contrary: Whether the new P(good) is 1 - P(good) of the shipped bundle.
        leaves_out: It knows so many models fewer, and the others in the opposite order.
        adds: New model -> model of the shipped bundle whose beliefs it has.
        catalogue: Catalogue models for its demands, which are those of `DEMAND_NAMES`; None: it has none.
        keeps_catalogue: Whether it has the catalogue models of the shipped bundle.
    """
    shipped = load_bundle(SHIPPED_BUNDLE)
    kept = list(range(len(shipped.trained_names)))[leaves_out:][::-1]
    copied = adds or {}
    names = [shipped.trained_names[index] for index in kept] + list(copied)
    originals = [*(shipped.trained_names[index] for index in kept), *copied.values()]
    kept += [shipped.trained_names.index(original) for original in copied.values()]
    folder.mkdir(parents=True)
    model = plain_graph(onnx.load(str(SHIPPED_BUNDLE / "model.onnx")))
    graph = _edited(model if keeps_catalogue else without_demand(model), kept, is_contrary, folder.name)
    if catalogue is not None:
        with_demand(graph, *demand_of_tasks(graph))
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    (folder / "tokenizer.json").write_bytes((SHIPPED_BUNDLE / "tokenizer.json").read_bytes())
    reference = shipped.read_reference()
    quality = 1 - reference.quality if is_contrary else reference.quality
    columns = {name: getattr(reference, name)[:, kept] for name in ("completion_tokens", "score", "answer_tokens")}
    if not keeps_catalogue:
        columns["demand"] = None if catalogue is None else _reference_demand(reference)
    (folder / "reference_answers.npz").write_bytes(replace(reference, quality=quality[:, kept], **columns).to_bytes())
    manifest = json.loads((SHIPPED_BUNDLE / "manifest.json").read_text())
    manifest |= {
        "name": folder.name,
        "trained_names": names,
        "abilities": {name: shipped.abilities[original] for name, original in zip(names, originals, strict=True)},
    }
    if not keeps_catalogue:
        manifest.pop("demand_names", None)
    manifest["files"] = {name: sha256((folder / name).read_bytes()).hexdigest() for name in HASHED_FILES}
    if catalogue is not None:
        manifest |= {"format_version": 3, "demand_names": list(DEMAND_NAMES)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if catalogue is not None:
        add_file(folder, CATALOGUE_FILE, catalogue.to_bytes())
    if keeps_catalogue:
        add_file(folder, CATALOGUE_FILE, (SHIPPED_BUNDLE / CATALOGUE_FILE).read_bytes())
    return folder


def plain_copy(folder: Path) -> Path:
    """Write the shipped bundle without its catalogue models, and return the folder: its reference models alone."""
    shutil.copytree(SHIPPED_BUNDLE, folder)
    graph = without_demand(plain_graph(onnx.load(str(SHIPPED_BUNDLE / "model.onnx")))).SerializeToString()
    (folder / "model.onnx").write_bytes(graph)
    (folder / CATALOGUE_FILE).unlink()
    reference = replace(load_bundle(SHIPPED_BUNDLE).read_reference(), demand=None)
    (folder / "reference_answers.npz").write_bytes(reference.to_bytes())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest = {name: value for name, value in manifest.items() if name not in ("demand_names", "catalogue")}
    manifest["files"] = {name: sha256((folder / name).read_bytes()).hexdigest() for name in HASHED_FILES}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def with_demand(model: onnx.ModelProto, matrix: Float32s, offset: Float32s) -> None:
    """Add an output `demand` to a graph of the shipped form: mean task probabilities times a matrix, plus an offset.

    Args:
        model: Graph; it is changed.
        matrix: Shape (n_tasks, n_demands).
        offset: Shape (n_demands,).
    """
    graph = model.graph
    for node in graph.node:  # the graph has an inner tensor of this name
        node.output[:] = ["demand_inner" if each == "demand" else each for each in node.output]
        node.input[:] = ["demand_inner" if each == "demand" else each for each in node.input]
    graph.initializer.append(numpy_helper.from_array(matrix.astype(np.float32), "derived_demand_matrix"))
    graph.initializer.append(numpy_helper.from_array(offset.astype(np.float32), "derived_demand_offset"))
    graph.node.append(helper.make_node("ReduceMean", ["task", "member_axes"], ["derived_task"], keepdims=0))
    graph.node.append(helper.make_node("MatMul", ["derived_task", "derived_demand_matrix"], ["derived_demand_sum"]))
    graph.node.append(helper.make_node("Add", ["derived_demand_sum", "derived_demand_offset"], ["demand"]))
    graph.output.append(helper.make_tensor_value_info("demand", TensorProto.FLOAT, [len(offset)]))


def n_tasks_of(model: onnx.ModelProto) -> int:
    """Return the number of tasks that the network of a graph of the shipped form tells apart."""
    widths = next(each for each in model.graph.initializer if each.name == "demand_widths")
    return int(numpy_helper.to_array(widths)[1])


def demand_of_tasks(model: onnx.ModelProto) -> tuple[Float32s, Float32s]:
    """Return (matrix, offset) for `with_demand`, for `DEMAND_NAMES`.

    The first half of the tasks is the reference share, the rest is everyday work; hardness is between 0 and 1.
    """
    n_tasks = n_tasks_of(model)
    matrix = np.zeros((n_tasks, len(DEMAND_NAMES)), np.float32)
    matrix[: n_tasks // 2, 0] = 1
    matrix[n_tasks // 2 :, 2] = 1
    matrix[:, 3] = np.linspace(0, 1, n_tasks)
    return matrix, np.array([0, 0.5, 0, 0, 1], np.float32)


def _reference_demand(reference: ReferenceAnswers) -> Float32s:
    demand = np.zeros((len(reference), len(DEMAND_NAMES)), np.float32)
    demand[:, 0], demand[:, 4] = 1, 1
    return demand


def add_file(folder: Path, name: str, content: bytes) -> None:
    """Put a file into a bundle, vouched for by its manifest."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def judge(folder: Path, champion_version: str, *, is_better: bool = True) -> Verdict:
    """Write what the gate would say of a bundle."""
    kept = Guard("quality", "quality", None, Interval(0.01, -0.002, 0.02), 0.01, "kept", "it is as good")
    reason = "The gain is above zero with confidence." if is_better else "The gain may be below zero."
    gain = Interval(0.0004, 0.0001 if is_better else -0.0003, 0.0007)
    version = load_bundle(folder).version
    judged_at = datetime(2026, 11, 26, 12, tzinfo=UTC)
    verdict = Verdict(version, champion_version, is_better, (reason,), gain, (kept,), 4321, judged_at)
    write_verdict(folder, verdict)
    return verdict


def _edited(model: onnx.ModelProto, kept: Sequence[int], is_contrary: bool, name: str) -> onnx.ModelProto:
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array(kept, np.int64), "derived_kept"))
    graph.initializer.append(numpy_helper.from_array(np.array([1.0], np.float32), "derived_one"))
    for output in _PER_MODEL:
        for node in graph.node:
            node.output[:] = [f"{each}_shipped" if each == output else each for each in node.output]
            node.input[:] = [f"{each}_shipped" if each == output else each for each in node.input]
        source = f"{output}_shipped"
        if output == "quality" and is_contrary:
            graph.node.append(helper.make_node("Sub", ["derived_one", source], ["quality_contrary"]))
            source = "quality_contrary"
        graph.node.append(helper.make_node("Gather", [source, "derived_kept"], [output]))
    outputs = [
        helper.make_tensor_value_info(each.name, TensorProto.FLOAT, [len(kept)]) if each.name in _PER_MODEL else each
        for each in graph.output
    ]
    del graph.output[:]
    graph.output.extend(outputs)
    model.producer_name = name  # so that no two graphs, and versions, are equal
    return model
