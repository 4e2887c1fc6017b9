"""Bundles: whole ones load, all others are refused, with the file and what to do."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE

from router.bundle import load_bundle
from router.context import RouteContext
from router.errors import BundleError, PredictionError
from router.features import FEATURES_VERSION
from router.onnx_quality_model import OnnxQualityModel


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED_BUNDLE, tmp_path / "copy"))


def rewrite(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def vouch(folder: Path, name: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


def replace_graph(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a graph")
    vouch(folder, "model.onnx")


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered graph": (flip_a_byte, r"model\.onnx: its sha256 is"),
    "no graph": (lambda folder: (folder / "model.onnx").unlink(), r"model\.onnx: cannot be read"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), r"manifest\.json: cannot be read"),
    "manifest is no JSON": (lambda folder: (folder / "manifest.json").write_text("{"), r"manifest\.json: is not JSON"),
    "manifest is a list": (lambda folder: (folder / "manifest.json").write_text("[]"), "is not a JSON object"),
    "later features": (
        lambda folder: rewrite(folder, features_version=99),
        f"features_version is 99, this program reads {FEATURES_VERSION}",
    ),
    "later format": (lambda folder: rewrite(folder, format_version=99), "format_version is 99"),
    "no hashes": (lambda folder: rewrite(folder, files={}), r"has no hash of model\.onnx"),
    "no names": (lambda folder: rewrite(folder, trained_names=[]), "trained_names must be distinct"),
    "one name too few": (lambda folder: rewrite(folder, trained_names=["gpt-4o-2024-08-06"]), "not those of"),
    "no abilities": (
        lambda folder: rewrite(folder, abilities=None),
        "abilities, ability_prior or name is missing or malformed",
    ),
    "shifts nobody vouched for": (
        lambda folder: (folder / "recent_shifts.json").write_text("{}"),
        r"has no hash of recent_shifts\.json",
    ),
    "not a graph": (replace_graph, r"model\.onnx: cannot be run"),
    "not a tokenizer": (
        lambda folder: ((folder / "tokenizer.json").write_text("{}"), vouch(folder, "tokenizer.json")),
        "not a lower-casing",
    ),
}


@pytest.mark.parametrize(("spoil", "complaint"), CASES.values(), ids=list(CASES))
def test_a_spoilt_bundle_is_refused(copy: Path, spoil: Callable[[Path], object], complaint: str) -> None:
    spoil(copy)
    with pytest.raises(BundleError, match=complaint) as refused:
        OnnxQualityModel(load_bundle(copy))
    assert str(copy) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_shipped_bundle_is_whole_small_and_says_what_it_is() -> None:
    bundle = load_bundle(SHIPPED_BUNDLE)
    assert bundle.version.startswith("llmdeal-base-2+")
    assert len(bundle.trained_names) == len(bundle.abilities) == 58
    assert sum(path.stat().st_size for path in SHIPPED_BUNDLE.iterdir()) < 20_000_000
    assert all(name in (SHIPPED_BUNDLE / "README.md").read_text() for name in bundle.trained_names)


@pytest.mark.parametrize("prompt", ["x", "?!", "日本語で答えて", "a\x00b", "word " * 200_000, "\U0001f600" * 50])
def test_any_text_gets_finite_beliefs(prompt: str) -> None:
    quality_model = OnnxQualityModel(load_bundle(SHIPPED_BUNDLE))
    prediction = quality_model.predict(RouteContext.from_prompt(prompt))
    assert ((prediction.quality >= 0) & (prediction.quality <= 1)).all()
    assert (prediction.quality_std >= 0).all()
    assert (prediction.completion_tokens >= 1).all()
    assert np.isfinite([prediction.difficulty, prediction.typical_completion_tokens]).all()
    again = quality_model.predict(RouteContext.from_prompt(prompt))
    assert (again.quality == prediction.quality).all()


def test_a_graph_that_fails_on_a_request_says_so(copy: Path) -> None:
    definition = json.loads((copy / "tokenizer.json").read_text())
    definition["model"]["vocab"]["hello"] = 999_999  # beyond the table
    (copy / "tokenizer.json").write_text(json.dumps(definition))
    vouch(copy, "tokenizer.json")
    quality_model = OnnxQualityModel(load_bundle(copy))
    quality_model.predict(RouteContext.from_prompt("good morning"))
    with pytest.raises(PredictionError, match=r"llmdeal-base-2\+[0-9a-f]{8} failed"):
        quality_model.predict(RouteContext.from_prompt("hello"))
