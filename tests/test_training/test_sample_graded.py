"""The graded sample is what its script makes, and training accepts it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import ROOT, SHIPPED_BUNDLE

from bench.sample_graded import drawn_responses, price_table, prompt_table, questions
from router.bundle import load_bundle
from serve.jobs.calibrate.grading import is_right
from training.corpus.graded_corpus import read_corpus, read_prices
from training.corpus.pools import make_pools
from training.network.base_bundle import read_base_bundle
from training.progress import SilentProgress
from training.settings import FitSettings
from training.train import train_bundle

SAMPLE = ROOT / "data" / "samples" / "graded"
LOCAL = ["google/gemma-3-270m", "huggingfacetb/smollm2-135m-instruct"]
SANDBOX = ["sandbox/large", "sandbox/medium", "sandbox/reasoning", "sandbox/small"]


def responses() -> pd.DataFrame:
    return pd.read_parquet(SAMPLE / "responses.parquet")


def test_it_is_small_and_one_pool_of_six_models() -> None:
    corpus = read_corpus(SAMPLE)
    (pool,) = make_pools(corpus, read_prices(SAMPLE / "prices.csv", corpus.trained_names))

    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 300_000
    assert corpus.trained_names == (*LOCAL, *SANDBOX)
    assert pool.score.shape == (380, 6)
    assert pool.has_tokens


def test_its_prompts_and_prices_are_those_of_the_question_bank_and_the_lanes() -> None:
    pd.testing.assert_frame_equal(pd.read_parquet(SAMPLE / "prompts.parquet"), prompt_table(questions()))
    pd.testing.assert_frame_equal(pd.read_csv(SAMPLE / "prices.csv", dtype=str), price_table())


def test_the_drawn_part_is_what_its_script_draws() -> None:
    kept = responses()[lambda table: table["model"].isin(SANDBOX)].reset_index(drop=True)
    again = drawn_responses(questions())

    assert kept["answer"].isna().all()
    names = ["source", "prompt_id", "model", "score"]
    pd.testing.assert_frame_equal(kept[names], again[names])
    assert np.allclose(kept["completion_tokens"], again["completion_tokens"], atol=1)


def test_the_measured_part_has_the_grades_of_its_answers() -> None:
    measured = responses()[lambda table: table["model"].isin(LOCAL)]
    asked = {question.id: question for question in questions()}

    assert len(measured) == 2 * len(asked)
    assert (measured["completion_tokens"] <= 64).all()
    for row in measured.itertuples():
        question = asked[str(row.prompt_id)]
        assert row.score == is_right(str(row.answer), question.answer, question.grader), row.prompt_id


@pytest.mark.slow
def test_training_accepts_it(tmp_path: Path) -> None:
    table = read_base_bundle(SHIPPED_BUNDLE).table
    settings = FitSettings(n_folds=2, epochs=1, fewest_steps=20)

    measures = train_bundle(SAMPLE, tmp_path / "sample", None, 0, SilentProgress(), settings, table)

    assert list(measures) == ["llmdeal_questions"]
    assert load_bundle(tmp_path / "sample").trained_names == (*LOCAL, *SANDBOX)


def test_make_model_trains_on_it_and_leaves_the_shipped_bundle_alone() -> None:
    defaults = dict(line.split(" ?= ") for line in (ROOT / "Makefile").read_text().splitlines() if " ?= " in line)

    assert ROOT / defaults["CORPUS"] == SAMPLE
    assert ROOT / defaults["OUT"] != SHIPPED_BUNDLE
