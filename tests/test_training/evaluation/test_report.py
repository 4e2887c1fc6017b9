"""The report of an evaluation: whole, self-contained, and its figures those of the evaluation."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes.tiny_collection import write_collection, write_demands
from fakes.tiny_corpus import tiny_tables, write_corpus
from rich.console import Console

from router.bundle import load_bundle, read_manifest
from serve.packaged_files import models_dir
from training.corpus.routing_measures import Pool, measure_router
from training.evaluation.bootstrap import redraw
from training.evaluation.breakdowns import by_difficulty, by_task, reliability
from training.evaluation.bundle_facts import facts_of
from training.evaluation.collection import calibration_of
from training.evaluation.evaluate import BundleEvaluation, CollectionScope, EvaluationScope, evaluate_bundle
from training.evaluation.report.page import write_report
from training.network.base_bundle import read_base_bundle
from training.network.fitted_model import Beliefs
from training.progress import TerminalProgress
from training.train import train_bundle

pytestmark = pytest.mark.slow
SHIPPED = models_dir() / "llmdeal-base-2"


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> BundleEvaluation:
    folder = tmp_path_factory.mktemp("evaluation")
    corpus = write_corpus(folder / "corpus", *tiny_tables(160))
    quick = replace(read_base_bundle(SHIPPED).settings, n_folds=2, fewest_steps=60)
    train_bundle(corpus, folder / "bundle", SHIPPED, 0, TerminalProgress(Console(quiet=True)), quick)
    collection = write_collection(folder / "collection")
    for path in collection.glob("*/responses.parquet"):
        responses = pd.read_parquet(path)
        is_free = responses["model"] == "zeta/poor-4b"
        responses.assign(cost_usd=responses["completion_tokens"].mask(is_free, 0.0) * 1e-6).to_parquet(path)
    work = CollectionScope(collection, write_demands(folder / "demands"))
    scope = EvaluationScope(baselines=("kNN-100", "linear"), adds_models=True, ablates=True, collection=work)
    return evaluate_bundle(folder / "bundle", corpus, scope, TerminalProgress(Console(quiet=True)))


def test_the_page_shows_every_router_task_and_part_and_needs_nothing_else(
    evaluation: BundleEvaluation, tmp_path: Path
) -> None:
    write_report(evaluation, tmp_path / "report", "llmdeal evaluate")
    page = (tmp_path / "report" / "report.html").read_text()
    for shown in (
        "llmdeal",
        "kNN-100",
        "linear",
        "oracle",
        "proof",
        "sum",
        "without the embedding",
        "Models never seen",
    ):
        assert shown in page
    assert page.count("data:image/png;base64,") == 3 + 2 * len(evaluation.work)
    assert "http://" not in page
    assert "https://" not in page
    for picture in ("quality-cost", "reliability", "regret"):
        assert (tmp_path / "report" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_the_figures_are_json_and_those_of_the_evaluation(evaluation: BundleEvaluation, tmp_path: Path) -> None:
    write_report(evaluation, tmp_path, "llmdeal evaluate")
    figures = json.loads((tmp_path / "figures.json").read_text(), parse_constant=pytest.fail)
    (report,) = evaluation.pools
    assert figures["pools"]["tiny"]["routers"]["llmdeal"]["gap_closed"] == report.judged.measures["llmdeal"].gap_closed
    assert sum(row["prompts"] for row in figures["pools"]["tiny"]["tasks"]) == len(report.judged.pool.rows)


def test_the_page_can_be_read_without_sight_in_the_dark_and_on_paper(
    evaluation: BundleEvaluation, tmp_path: Path
) -> None:
    write_report(evaluation, tmp_path, "llmdeal evaluate")
    page = (tmp_path / "report.html").read_text()
    headings = [int(level) for level in re.findall(r"<h(\d)>", page)]
    assert headings[0] == headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert len(re.findall(r'<img alt="[^"]{20,}"', page)) == page.count("<img")
    assert not re.search(r"<th>|<th (?!scope)", page)
    assert page.count("<tr") == len(re.findall(r"<tr[^>]*>\s*<th scope=", page))
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_work_of_today_is_judged_on_prompts_that_were_kept_aside(evaluation: BundleEvaluation, tmp_path: Path) -> None:
    write_report(evaluation, tmp_path, "llmdeal evaluate")
    figures = json.loads((tmp_path / "figures.json").read_text(), parse_constant=pytest.fail)["work"]
    assert [result.source for result in evaluation.work] == list(figures) == ["notes", "patches"]
    for result in evaluation.work:
        assert 10 < result.prompts < 40
        assert result.brier["llmdeal"] < result.brier["own means"] + 0.03
        lead = result.brier_leads["own means"]
        assert lead.low <= result.brier["own means"] - result.brier["llmdeal"] <= lead.high
        assert result.calibration["llmdeal"].cells.sum() == result.cells == result.prompts * result.rows
        assert result.lengths is not None
        assert result.lengths.off < 0.6
        assert result.pool is not None
        assert (result.pool.rows, result.pool.prompts) == (result.rows - 1, result.prompts)  # one costs nothing
        assert result.pool.gaps["llmdeal"] < 1
        assert figures[result.source]["pool"]["gaps"]["llmdeal"] == result.pool.gaps["llmdeal"]
    assert (tmp_path / "calibration-of-today.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_states_what_the_bundle_is_made_of(evaluation: BundleEvaluation, tmp_path: Path) -> None:
    write_report(evaluation, tmp_path, "llmdeal evaluate")
    page = (tmp_path / "report.html").read_text()
    assert [source.source for source in evaluation.facts.sources] == ["tiny"]
    shipped = facts_of(load_bundle(SHIPPED), read_manifest(SHIPPED))
    assert {source.source: source.licence for source in shipped.sources}["misguided"] == "CC0"
    assert sum(shipped.rows_by_basis.values()) == shipped.catalogue_rows
    assert "Sources that the bundle was fitted to" in page


def test_true_chances_are_calibrated_and_shifted_ones_are_not() -> None:
    rng = np.random.default_rng(3)
    chance = rng.uniform(0, 1, 20_000)
    graded = (rng.random(len(chance)) < chance).astype(float)
    right, wrong = calibration_of(chance, graded), calibration_of((chance + 0.2).clip(0, 1), graded)
    assert right.error < 0.02 < 0.1 < wrong.error
    assert right.cells.sum() == len(chance)


def test_the_interval_holds_the_figure(evaluation: BundleEvaluation) -> None:
    (report,) = evaluation.pools
    interval = report.confidence.gaps["llmdeal"]
    assert interval.low < report.judged.measures["llmdeal"].gap_closed < interval.high
    low, high = report.confidence.band
    assert (low <= high).all()


N = 2_000
RNG = np.random.default_rng(8)
HARDNESS = RNG.uniform(0, 1, N)
CHANCE = np.clip(np.array([1.2, 0.9, 0.5]) - HARDNESS[:, None], 0.02, 0.98)
SCORE = (RNG.random(CHANCE.shape) < CHANCE).astype(float)
COST = np.tile([0.01, 0.001, 0.0001], (N, 1))
POOL = Pool("made", ("a", "b", "c"), np.arange(N), np.arange(3), SCORE, COST, COST, np.zeros(3), False)
KNOWING = Beliefs(
    CHANCE.astype(np.float32), CHANCE.astype(np.float32), np.ones((N, 3), np.float32), HARDNESS.astype(np.float32)
)
IGNORANT = Beliefs(
    np.full((N, 3), SCORE.mean(), np.float32), KNOWING.quality_std, KNOWING.completion_tokens, KNOWING.difficulty
)


def test_a_real_lead_is_told_from_luck() -> None:
    confidence = redraw(POOL, {"knowing": KNOWING, "ignorant": IGNORANT}, seed=0)
    assert confidence.leads["ignorant"].low > 0
    assert redraw(POOL, {"knowing": KNOWING, "same": KNOWING}, seed=0).leads["same"].high == 0
    measured = measure_router(POOL, CHANCE, np.ones((N, 3))).gap_closed
    assert confidence.gaps["knowing"].low < measured < confidence.gaps["knowing"].high


def test_regret_is_what_is_lost_and_nothing_is_lost_by_the_oracle() -> None:
    oracle = Beliefs(SCORE.astype(np.float32), KNOWING.quality_std, KNOWING.completion_tokens, KNOWING.difficulty)
    lost = by_difficulty(POOL, {"oracle": oracle, "knowing": KNOWING, "ignorant": IGNORANT}, HARDNESS).lost
    assert lost["oracle"] == pytest.approx(np.zeros(10), abs=1e-9)
    assert lost["knowing"].mean() < lost["ignorant"].mean()


def test_tasks_share_out_the_prompts_and_true_chances_are_reliable() -> None:
    tasks = np.where(HARDNESS > 0.5, "hard", "easy")
    easy, hard = by_task(POOL, KNOWING, tasks)
    assert (easy.task, hard.task) == ("easy", "hard")
    assert easy.prompts + hard.prompts == N
    assert easy.score > hard.score
    bins = reliability(POOL, KNOWING)
    filled = bins.answers > 100
    assert bins.graded[filled] == pytest.approx(bins.stated[filled], abs=0.06)
