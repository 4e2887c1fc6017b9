"""The sample of a collection is small, free to give away, and read as a collection is."""

from pathlib import Path

import pandas as pd
import pytest
from checkout import ROOT
from fakes.tiny_collection import UNGRADED, write_collection

from bench import sample_collection
from bench.sample_collection import SIZES, ungraded_models, write_sample
from training.abilities.licences import SOURCE_LICENCES, is_free, is_free_table
from training.demand.catalogue import is_collection, read_catalogue_data

SAMPLE = ROOT / "data" / "samples" / "collection"


def test_it_is_small_and_every_part_is_free_and_named_in_the_readme() -> None:
    readme = (ROOT / "data" / "samples" / "README.md").read_text(encoding="utf-8")
    sources = {path.parent.name for path in SAMPLE.glob("*/prompts.parquet")}

    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 400_000
    assert sources == set(SIZES)
    for source in sources:
        assert is_free(SOURCE_LICENCES[source])
        assert f"`{source}`" in readme
    for name in ("benchmarks.csv", "verbosity.csv"):
        assert pd.read_csv(SAMPLE / name)["source"].map(is_free_table).all()


def test_it_is_read_as_a_collection_with_costs_and_models_that_nobody_graded() -> None:
    assert is_collection(SAMPLE)
    data = read_catalogue_data(SAMPLE, [], ROOT / "data" / "demands")
    graded = {model for model, _ in data.work.rows}

    assert set(data.work.sources) == set(SIZES)
    assert set(data.benchmarks["model"]) - graded
    for source in ("openhands_index", "es_business"):
        assert pd.read_parquet(SAMPLE / source / "responses.parquet")["cost_usd"].notna().mean() > 0.8


def test_a_sample_takes_prompts_in_equal_steps_and_no_lengths_of_the_graded_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = write_collection(tmp_path / "collection")
    for path in collection.glob("*/responses.parquet"):
        pd.read_parquet(path).assign(cost_usd=0.01).to_parquet(path)
    lengths = pd.read_csv(collection / "verbosity.csv", keep_default_na=False)
    lengths.loc[0, "source"] = "sql (this folder)"
    lengths.to_csv(collection / "verbosity.csv", index=False)
    monkeypatch.setattr(sample_collection, "SIZES", {"patches": (10, 3)})
    monkeypatch.setattr(sample_collection, "SOURCE_LICENCES", {"patches": "MIT"})
    write_sample(collection, tmp_path / "sample")

    prompts = pd.read_parquet(tmp_path / "sample" / "patches" / "prompts.parquet")
    responses = pd.read_parquet(tmp_path / "sample" / "patches" / "responses.parquet")
    assert len(prompts) == 10
    assert {prompts["prompt_id"].min(), prompts["prompt_id"].max()} == {"patches-0", "patches-9"}
    assert responses.groupby("prompt_id").size().eq(3).all()
    assert UNGRADED in set(pd.read_csv(tmp_path / "sample" / "benchmarks.csv")["model"])
    assert not pd.read_csv(tmp_path / "sample" / "verbosity.csv")["source"].str.contains("this folder").any()


def test_a_source_without_a_free_licence_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_collection, "SIZES", {"mcpmark": (10, 3)})
    with pytest.raises(ValueError, match="mcpmark has no free licence"):
        write_sample(write_collection(tmp_path / "collection"), tmp_path / "sample")


def test_ungraded_models_are_those_with_most_scores(tmp_path: Path) -> None:
    collection = write_collection(tmp_path / "collection")
    assert ungraded_models(collection / "benchmarks.csv", {"zeta/good"}) >= {UNGRADED, "zeta/fair"}
    assert "zeta/good" not in ungraded_models(collection / "benchmarks.csv", {"zeta/good"})
