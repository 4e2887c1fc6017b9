"""Training, predicting and evaluating through the command line, on a corpus whose truth is known."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import ROOT, SHIPPED_BUNDLE
from fakes.tiny_corpus import HOPELESS, STRONG, WEAK, tiny_tables, write_corpus

from router.bundle import load_bundle
from router.context import RouteContext
from router.onnx_quality_model import OnnxQualityModel

pytestmark = [pytest.mark.slow]

EASY = "Tom finds 14 shells and then 5 more. How many shells is that in all?"
HARD = "Prove that the polynomial x^7 + 5x + 1 is irreducible over the rationals, or factor it."


def llmdeal(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from serve.cli.main import run; run()", *map(str, arguments)]
    root = ROOT
    # Workers of a parallel run share cores: threads that spin while they wait would starve each other.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "160"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), *tiny_tables())


@pytest.fixture(scope="module")
def bundle(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "tiny-1"
    trained = llmdeal("train", "--corpus", corpus, "--out", out, "--from", SHIPPED_BUNDLE, "--seed", 7)
    assert trained.returncode == 0, trained.stderr
    assert "gap closed" in trained.stdout
    return out


def test_a_bundle_knows_which_model_can_what(bundle: Path) -> None:
    quality_model = OnnxQualityModel(load_bundle(bundle))
    assert quality_model.trained_names == (HOPELESS, STRONG, WEAK)
    easy, hard = (quality_model.predict(RouteContext.from_prompt(text)) for text in (EASY, HARD))
    assert easy.quality[2] > 0.8 > 0.4 > hard.quality[2]
    assert min(easy.quality[1], hard.quality[1]) > 0.8
    assert max(easy.quality[0], hard.quality[0]) < 0.3
    assert hard.difficulty > easy.difficulty
    assert hard.completion_tokens[1] > 3 * easy.completion_tokens[1]


def test_the_manifest_says_where_a_bundle_comes_from(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["name"] == "tiny-1"
    assert manifest["seed"] == 7
    assert manifest["base"].startswith("llmdeal-base-2+")
    assert manifest["corpus"]["answers"] == 480
    assert manifest["abilities"][STRONG] > manifest["abilities"][WEAK] > manifest["abilities"][HOPELESS]
    assert manifest["parity"]["prompts"] == 160
    assert set(manifest["measures"]) == {"tiny"}
    card = (bundle / "README.md").read_text()
    assert "acme-weak" in card
    assert "160" in card


def test_the_same_seed_gives_the_same_bytes(bundle: Path, corpus: Path, tmp_path: Path) -> None:
    again = tmp_path / "tiny-1"
    assert llmdeal("train", "--corpus", corpus, "--out", again, "--from", SHIPPED_BUNDLE, "--seed", 7).returncode == 0
    for name in ("model.onnx", "tokenizer.json", "manifest.json", "README.md"):
        assert (again / name).read_bytes() == (bundle / name).read_bytes(), name


def test_from_scratch_it_learns_too(corpus: Path, tmp_path: Path) -> None:
    trained = llmdeal("train", "--corpus", corpus, "--out", tmp_path / "fresh")
    assert trained.returncode == 0, trained.stderr
    easy, hard = (
        OnnxQualityModel(load_bundle(tmp_path / "fresh")).predict(RouteContext.from_prompt(text))
        for text in (EASY, HARD)
    )
    assert easy.quality[2] > hard.quality[2] + 0.4


def test_predict_writes_every_prompt_and_model(bundle: Path, corpus: Path, tmp_path: Path) -> None:
    predicted = llmdeal(
        "predict", "--bundle", bundle, "--prompts", corpus / "prompts.parquet", "--out", tmp_path / "p.parquet"
    )
    assert predicted.returncode == 0, predicted.stderr
    table = pd.read_parquet(tmp_path / "p.parquet")
    assert list(table.columns) == ["prompt_id", "model", "quality", "completion_tokens"]
    assert len(table) == 160 * 3
    assert table.quality.between(0, 1).all()
    assert (table.completion_tokens >= 1).all()
    responses = pd.read_parquet(corpus / "responses.parquet")
    both = table.merge(responses, on=["prompt_id", "model"])
    assert both.completion_tokens_x.sum() == pytest.approx(both.completion_tokens_y.sum(), rel=0.05)


def test_evaluate_says_that_it_judged_the_recipe_and_not_the_seen_bundle(
    bundle: Path, corpus: Path, tmp_path: Path
) -> None:
    judged = llmdeal("evaluate", "--bundle", bundle, "--corpus", corpus, "--plot", tmp_path / "plot.png")
    assert judged.returncode == 0, judged.stderr
    output = " ".join(judged.stdout.split())
    assert "cross-validation" in output
    assert "kNN-100" in output
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_judges_the_bundle_itself_on_a_corpus_it_has_not_seen(bundle: Path, tmp_path: Path) -> None:
    unseen = write_corpus(tmp_path / "unseen", *tiny_tables(80, seed=5))
    judged = llmdeal("evaluate", "--bundle", bundle, "--corpus", unseen, "--plot", tmp_path / "plot.png")
    assert judged.returncode == 0, judged.stderr
    assert "has not seen this corpus" in " ".join(judged.stdout.split())


# mlflow's own start-up meets deprecations of SQLAlchemy.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_training_run_can_be_tracked(corpus: Path, tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    trained = llmdeal(
        "train", "--corpus", corpus, "--out", tmp_path / "tracked", "--from", SHIPPED_BUNDLE, "--track", uri
    )
    assert trained.returncode == 0, trained.stderr
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("llmdeal").experiment_id])
    assert run.data.params["seed"] == "0"
    assert run.data.metrics["gap_closed.tiny"] > 0.3


def test_what_is_learned_beats_neighbours_and_the_best_single_model(bundle: Path) -> None:
    measures = json.loads((bundle / "manifest.json").read_text())["measures"]["tiny"]
    assert measures["gap_closed"] > 0.5
    assert np.isclose(measures["cost_bias"], 0, atol=0.05)
