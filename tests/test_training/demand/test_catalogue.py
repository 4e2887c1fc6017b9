"""Catalogue models learned from a tiny collection whose truth is known."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import ROOT, SHIPPED_BUNDLE
from fakes.tiny_collection import STRONG, UNGRADED, WEAK, write_collection, write_demands
from fakes.tiny_corpus import tiny_tables, write_corpus

from router.bundle import Bundle, load_bundle
from router.catalogue_models import BASES
from router.context import RouteContext
from router.onnx_quality_model import OnnxQualityModel
from training.demand.catalogue import is_collection
from training.demand.graded_work import read_demands
from training.demand.reference_names import vendor_model_of
from training.errors import CorpusError

PATCH = "Fix the bug in module cache number 300:\n```python\ndef run_300(x):\n    return x[300]\n```"
HELLO, ESSAY = "Say hello to Tom, my friend.", "Write an essay of about 1,400 words on the history of the clock."


def llmdeal(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from serve.cli.main import run; run()", *map(str, arguments)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "160"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return (
        write_corpus(folder / "corpus", *tiny_tables()),
        write_collection(folder / "collection"),
        write_demands(folder / "demands"),
    )


@pytest.fixture(scope="module")
def bundle(sources: tuple[Path, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    corpus, collection, demands = sources
    out = tmp_path_factory.mktemp("bundles") / "tiny-2"
    trained = llmdeal(
        "train", "--corpus", corpus, "--corpus", collection, "--demands", demands, "--out", out,
        "--from", SHIPPED_BUNDLE,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    return load_bundle(out)


def demand(bundle: Bundle, prompt: str) -> np.ndarray:
    vector = OnnxQualityModel(bundle).predict(RouteContext.from_prompt(prompt)).demand
    assert vector is not None
    return np.asarray(vector)


@pytest.mark.slow
def test_graded_models_are_told_apart_and_scored_ones_stand_between(bundle: Bundle) -> None:
    models = bundle.catalogue
    assert models is not None
    log_odds = models.quality @ demand(bundle, PATCH)
    of = dict(zip(models.names, log_odds.tolist(), strict=True))
    assert of[STRONG] > of[UNGRADED] > of[WEAK]
    assert of[STRONG] - of[WEAK] > 1.5
    assert f"{STRONG}@high" in of
    basis = {name: BASES[number] for name, number in zip(models.names, models.basis.tolist(), strict=True)}
    assert (basis[STRONG], basis[UNGRADED]) == ("own_grades", "published_scores")
    std = dict(zip(models.names, (models.quality_std @ demand(bundle, PATCH)).tolist(), strict=True))
    assert std[UNGRADED] > std[STRONG] > 0


@pytest.mark.slow
def test_an_effort_costs_reasoning_tokens(bundle: Bundle) -> None:
    models = bundle.catalogue
    assert models is not None
    log_tokens = dict(zip(models.names, (models.reasoning @ demand(bundle, PATCH)).tolist(), strict=True))
    assert log_tokens[f"{STRONG}@high"] - log_tokens[STRONG] == pytest.approx(np.log(2), abs=0.35)
    assert log_tokens[STRONG] == pytest.approx(np.log(450), abs=0.35)


@pytest.mark.slow
def test_the_demand_says_how_long_and_how_hard(bundle: Bundle) -> None:
    names = list(bundle.demand_names)
    hello, essay, patch = (demand(bundle, prompt) for prompt in (HELLO, ESSAY, PATCH))
    everyday, visible, weak, strong = (names.index(name) for name in ("everyday", "visible", "weak", "strong"))
    assert hello[everyday] > 0.8
    assert essay[everyday] > 0.8
    assert patch[names.index("kind:patches/code/patch")] > 0.8
    assert np.exp(hello[visible]) < 60
    assert np.exp(essay[visible]) > 600
    assert essay[strong] - essay[weak] > hello[strong] - hello[weak]
    kinds = [place for place, name in enumerate(names) if name.startswith("kind:")]
    assert essay[kinds].sum() + essay[everyday] == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_the_manifest_and_the_reference_answers_hold_the_demand(bundle: Bundle) -> None:
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    assert manifest["catalogue"]["prompts"] == {"notes": 70, "patches": 70, "tiny": 160}
    assert manifest["catalogue"]["expected_prompts"] == 60
    reference = bundle.read_reference()
    assert reference.demand is not None
    assert reference.demand.shape == (len(reference), len(bundle.demand_names))
    assert reference.demand[:, 0].mean() > 0.8  # its prompts are those of the reference models


def test_a_collection_is_no_flat_corpus(sources: tuple[Path, Path, Path]) -> None:
    corpus, collection, _ = sources
    assert is_collection(collection)
    assert not is_collection(corpus)
    refused = llmdeal("train", "--corpus", collection, "--out", corpus / "out")
    assert refused.returncode != 0
    assert "0 flat corpora and 1 collections" in refused.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "malformed"),
        ('{"prompt": "x", "visible_tokens": [5, 3, 9], "reasoning": 0, "small_ok": 0.5, "frontier_ok": 0.9}', "range"),
        ('{"prompt": "x", "visible_tokens": [1, 3, 9], "reasoning": 7, "small_ok": 0.5, "frontier_ok": 0.9}', "range"),
        ('{"prompt": "x", "visible_tokens": [1, 3, 9], "reasoning": 1, "small_ok": 0.9, "frontier_ok": 0.5}', "range"),
    ],
)
def test_bad_lines_of_demands_are_refused_by_place(tmp_path: Path, line: str, problem: str) -> None:
    (tmp_path / "part-1.jsonl").write_text(line + "\n")
    with pytest.raises(CorpusError, match=problem):
        read_demands(tmp_path)


def test_the_shipped_demands_are_read() -> None:
    examples = read_demands(ROOT / "data" / "demands")
    assert len(examples.prompts) == len(set(examples.prompts)) > 1_500
    assert (examples.weak <= examples.strong).all()


def test_models_of_older_corpora_get_the_names_of_the_tables() -> None:
    names = pd.Series(
        {
            "gpt-4o-2024-08-06": "openai/gpt-4o",
            "o1-mini-2024-09-12": "openai/o1-mini",
            "claude-3-5-sonnet-20241022": "anthropic/claude-3-5-sonnet",
            "llama-3.1-8b-instruct": "meta/llama-3.1-8b-instruct",
            "qwen2.5-7b-instruct": "qwen/qwen2.5-7b-instruct",
            "acme/own": "acme/own",
        }
    )
    assert [vendor_model_of(name) for name in names.index] == names.tolist()
