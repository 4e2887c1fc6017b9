"""The report of an evaluation: whole, self-contained, and its figures those of the evaluation."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.tiny_corpus import tiny_tables, write_corpus
from rich.console import Console

from serve.packaged_files import models_dir
from training.corpus.routing_measures import Pool, measure_router
from training.evaluation.bootstrap import redraw
from training.evaluation.breakdowns import by_difficulty, by_task, reliability
from training.evaluation.evaluate import BundleEvaluation, EvaluationScope, evaluate_bundle
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
    scope = EvaluationScope(baselines=("kNN-100", "linear"), adds_models=True, ablates=True)
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
    assert page.count("data:image/png;base64,") == 3
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
