"""What carries over to a source that was never seen, where the same kind of difficulty is in both."""

from pathlib import Path

import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.tiny_corpus import tiny_tables, write_corpus

from training.corpus.graded_corpus import read_corpus, read_prices
from training.corpus.pools import find_pools
from training.evaluation.left_out import judge_left_out
from training.network.base_bundle import read_base_bundle
from training.network.encoding import encode_prompts
from training.settings import FitSettings

pytestmark = [pytest.mark.slow]

SETTINGS = FitSettings(n_members=1, n_hidden=16, n_factors=8, n_token_hidden=8, fewest_steps=150)


def test_difficulty_learned_in_one_source_helps_in_the_other(tmp_path: Path) -> None:
    prompts, responses = tiny_tables(240)
    for table in (prompts, responses):
        table["source"] = np.where(table["prompt_id"] < "p0120", "first", "second")
    folder = write_corpus(tmp_path / "corpus", prompts, responses)
    corpus = read_corpus(folder)
    pools = find_pools(corpus, read_prices(folder / "prices.csv", corpus.trained_names))
    encoded = encode_prompts(corpus.contexts(), read_base_bundle(SHIPPED_BUNDLE).table)
    judged = judge_left_out(corpus, encoded, pools, SETTINGS, seed=0)
    assert [row.source for row in judged] == ["first", "second"]
    assert all(row.pairs == 2 for row in judged)
    assert min(row.gap_recovered for row in judged) > 0.55


def test_a_corpus_of_one_source_has_nothing_to_leave_out(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "corpus", *tiny_tables())
    corpus = read_corpus(folder)
    pools = find_pools(corpus, read_prices(folder / "prices.csv", corpus.trained_names))
    encoded = encode_prompts(corpus.contexts(), read_base_bundle(SHIPPED_BUNDLE).table)
    assert len(pools) == 1
    assert judge_left_out(corpus, encoded, pools, SETTINGS, seed=0) == []
