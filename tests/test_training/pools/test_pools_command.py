"""The command on a small collection of models that the price package knows."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.tiny_collection import MODELS, write_collection, write_demands
from fakes.tiny_corpus import tiny_tables, write_corpus

from router.bundle import load_bundle
from training.corpus.graded_corpus import read_corpus
from training.demand.graded_work import read_work
from training.pools.__main__ import main
from training.pools.work_pools import find_pools, instance_groups

NAMES = dict(
    zip(
        MODELS,
        ("openai/gpt-4.1", "openai/gpt-4.1-nano", "anthropic/claude-sonnet-4.5", "openai/gpt-4o-mini", "acme/unpriced"),
        strict=True,
    )
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Corpus, collection and demands. `patches` states costs; in `notes` tokens are known alone."""
    folder = tmp_path_factory.mktemp("pools")
    collection = write_collection(folder / "collection")
    for source in ("patches", "notes"):
        path = collection / source / "responses.parquet"
        responses = pd.read_parquet(path)
        responses["model"] = responses["model"].map(NAMES)
        if source == "patches":
            responses["cost_usd"] = responses["completion_tokens"] / 1e5
        responses.to_parquet(path)
    return write_corpus(folder / "corpus", *tiny_tables()), collection, write_demands(folder / "demands")


def test_pools_hold_the_lanes_that_keys_reach_at_the_costs_that_are_stated(sources: tuple[Path, Path, Path]) -> None:
    corpus, collection, _ = sources
    work = read_work(collection, [("tiny", read_corpus(corpus))], ["notes", "patches"])
    notes, patches = find_pools(collection, work, ("anthropic", "openai"))
    assert patches.lane_names == (
        "anthropic/claude-sonnet-4.5", "openai/gpt-4.1", "openai/gpt-4.1@high", "openai/gpt-4.1-nano",
        "openai/gpt-4o-mini",
    )  # fmt: skip
    assert (patches.cost_basis, notes.cost_basis) == ("paid", "billed tokens")
    assert patches.cost == pytest.approx(work.tokens[np.ix_(patches.places, patches.columns)] / 1e5, rel=1e-5)
    assert notes.lane_names == patches.lane_names
    tokens = work.tokens[np.ix_(notes.places, notes.columns)].astype(np.float64)
    listed = notes.cost_of_tokens(tokens, np.arange(len(notes.places)))
    assert notes.cost == pytest.approx(listed, rel=1e-5)
    assert listed[0, 1] == pytest.approx(len(work.prompts[notes.places[0]]) / 4 * 2e-6 + tokens[0, 1] * 8e-6)
    assert find_pools(collection, work, ("anthropic",)) == []


def test_prompts_of_one_instance_stay_together(sources: tuple[Path, Path, Path]) -> None:
    corpus, collection, _ = sources
    work = read_work(collection, [("tiny", read_corpus(corpus))], ["notes", "patches"])
    ids = list(work.prompt_ids)
    ids[:4] = ["swe:repo__one-1", "swt:repo__one-1", "swe:repo__one-2", "swt:repo__one-2"]
    object.__setattr__(work, "prompt_ids", tuple(ids))
    groups = np.arange(len(ids))
    groups[4] = groups[3]
    joined = instance_groups(groups, work)
    assert joined[0] == joined[1] != joined[2]
    assert joined[2] == joined[3] == joined[4]
    assert len(np.unique(joined)) == len(ids) - 3


@pytest.mark.slow
def test_the_command_judges_all_studies_and_writes_them_into_the_bundle(
    sources: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, collection, demands = sources
    bundle = Path(shutil.copytree(SHIPPED_BUNDLE, tmp_path / SHIPPED_BUNDLE.name))
    options = [
        "--corpus", corpus, "--collection", collection, "--demands", demands, "--bundle", bundle, "--write",
        "--keys", "anthropic,openai", "--sweeps", 60, "--epochs", 4, "--out", tmp_path / "figures.json",
        "--studies", "comparison", "unseen", "ablations",
    ]  # fmt: skip
    assert main([str(option) for option in options]) == 0
    printed = capsys.readouterr().out
    assert "Lead over the mix of two lanes" in printed
    assert "| gap closed without | nothing | published scores |" in printed
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {pool["source"] for pool in figures["pools"]} == {"notes", "patches"}
    patches = next(pool for pool in figures["pools"] if pool["source"] == "patches" and len(pool["keys"]) == 2)
    assert patches["cost_basis"] == "paid"
    assert patches["is_small"]
    assert set(patches["policies"]) >= {"fixed lane", "mix of two lanes", "kNN-50", "LightGBM", "llmdeal"}
    assert "LiteLLM" not in patches["policies"]
    assert [each["source"] for each in figures["unseen_sources"]] == ["notes", "patches"]
    assert figures["unseen_sources"][1]["gap_closed"] is not None
    assert {each["left_out"] for each in figures["ablations"]} > {"nothing", "embedding", "factor model"}
    pools = load_bundle(bundle).pools
    assert {pool.work for pool in pools} == {"notes", "patches"}
    assert "## Where routing pays" in (bundle / "README.md").read_text()
    before, after = (json.loads((each / "manifest.json").read_text()) for each in (SHIPPED_BUNDLE, bundle))
    assert {key for key in after if after[key] != before.get(key)} <= {"pools"}


def test_keys_without_lanes_are_refused(sources: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    corpus, collection, demands = sources
    options = ["--corpus", corpus, "--collection", collection, "--demands", demands, "--bundle", SHIPPED_BUNDLE]
    assert main([*map(str, options), "--keys", "cerebras"]) == 2
    assert "no source has three lanes at cerebras" in capsys.readouterr().err
    assert main([*map(str, options), "--studies", "unseen", "--write"]) == 2
    assert "--write needs the comparison" in capsys.readouterr().err
