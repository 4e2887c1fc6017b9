"""Catalogue beliefs on prompts that were kept aside, against a world whose truth is known."""

import pytest
from checkout import SHIPPED_BUNDLE
from fakes.tiny_collection import write_collection, write_demands
from fakes.tiny_corpus import tiny_tables, write_corpus

from training.abilities.abilities import AbilitySettings
from training.corpus.graded_corpus import read_corpus
from training.demand.catalogue import read_catalogue_data
from training.demand.kept_aside import as_table, judge_kept_aside
from training.network.base_bundle import read_base_bundle


@pytest.mark.slow
def test_without_being_told_the_source_the_catalogue_is_as_good_as_its_means(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("aside")
    corpus = read_corpus(write_corpus(folder / "corpus", *tiny_tables()))
    data = read_catalogue_data(
        write_collection(folder / "collection"), [("tiny", corpus)], write_demands(folder / "demands")
    )
    table = read_base_bundle(SHIPPED_BUNDLE).table
    results = as_table(judge_kept_aside(data, table, 0, AbilitySettings(n_sweeps=120)))
    assert list(results.index) == ["notes", "patches", "tiny"]
    asked = results.loc[["notes", "patches"]]
    assert (asked["brier"] < asked["brier_mean"] + 0.02).all()
    assert (asked["octaves"] < 0.6).all()
    assert (asked["n_prompts"] > 10).all()
