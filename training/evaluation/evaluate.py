"""The evaluation job: it judges a bundle on graded answers, and says whether the bundle was fitted to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.bundle import load_bundle, read_manifest
from router.context import RouteContext
from router.onnx_quality_model import OnnxQualityModel
from router.quality_model import QualityModel
from training.bundle.predict import ask
from training.corpus.graded_corpus import PRICES_FILE, Corpus, read_corpus, read_prices
from training.corpus.pools import make_pools
from training.corpus.routing_measures import Pool
from training.corpus.splits import assign_folds, group_near_duplicates
from training.demand.catalogue import read_catalogue_data
from training.demand.kept_aside import keep_aside
from training.errors import TrainingError
from training.evaluation.ablations import N_ABLATION_FITS, judge_ablations
from training.evaluation.bar_check import BarCheck, check_bar
from training.evaluation.baselines import BASELINES, QUICK_BASELINES, BaselineBeliefs, cross_fit_baseline
from training.evaluation.bootstrap import PoolConfidence, redraw
from training.evaluation.breakdowns import DifficultyRegret, Reliability, TaskRow, by_difficulty, by_task, reliability
from training.evaluation.bundle_evaluation import OURS, PoolEvaluation, evaluate_beliefs
from training.evaluation.bundle_facts import BundleFacts, facts_of
from training.evaluation.collection import SourceResult, judge_sources, predictions_of
from training.evaluation.decision_cost import DecisionCost, time_decisions
from training.evaluation.left_out import LeftOutSource, judge_left_out
from training.evaluation.new_models import N_ROUNDS, NewModels, judge_new_models
from training.evaluation.stability import Stability, measure_stability
from training.network.base_bundle import read_base_bundle
from training.network.cross_fit import fit_out_of_fold
from training.network.encoding import EncodedPrompts, encode_prompts
from training.network.fitted_model import Beliefs
from training.network.input_scaler import InputScaler
from training.network.static_table import StaticTable
from training.progress import Progress
from training.settings import FitSettings

_BASELINE_FOLDS = 5
_STABILITY_PROMPTS = 500
_TIMED_LANES = 20
_CROSS_VALIDATED = (
    "The bundle was fitted to these prompts, so its recipe was judged by cross-validation ({n_folds} folds, "
    "near-duplicates kept together). --in-sample judges the bundle itself."
)
_IN_SAMPLE = "IN SAMPLE: the bundle was fitted to these prompts; on other prompts it does worse."
_NOT_SEEN = "The bundle has not seen this corpus; the baselines were fitted to it, over folds."


@dataclass(frozen=True, slots=True)
class CollectionScope:
    """A collection to judge catalogue models on, on prompts that are kept aside.

    Args:
        folder: Folder with a folder for each graded source, and the tables of published figures.
        demands: Folder of prompts with expected demands.
        every_licence: Whether data without a free licence is read, too.
    """

    folder: Path
    demands: Path
    every_licence: bool = False


@dataclass(frozen=True, slots=True)
class EvaluationScope:
    """What to judge.

    Args:
        is_in_sample: Whether to judge the bundle itself, even on prompts that it was fitted to.
        seed: Seed of the folds and of all random draws.
        baselines: Names from `training.evaluation.baselines.BASELINES`.
        leaves_out: Whether to also judge each source by a network that saw none of it.
        adds_models: Whether to also judge each model as a new one that is placed by a few answers.
        ablates: Whether to also judge the recipe without each of its parts.
        collection: Collection to judge catalogue models on. None: they are not judged.
    """

    is_in_sample: bool = False
    seed: int = 0
    baselines: Sequence[str] = QUICK_BASELINES
    leaves_out: bool = False
    adds_models: bool = False
    ablates: bool = False
    collection: CollectionScope | None = None


@dataclass(frozen=True, slots=True)
class PoolReport:
    """All results of one pool.

    Args:
        judged: Measures and curves of every router.
        confidence: Intervals of these measures.
        tasks, regret, reliability: Results by task, by difficulty and by stated probability.
        bars: Results of relative bars on prompts that they were not solved on.
        stability: Stability of the choices of the bundle itself, even if it was fitted to the prompts.
    """

    judged: PoolEvaluation
    confidence: PoolConfidence
    tasks: list[TaskRow]
    regret: DifficultyRegret
    reliability: Reliability
    bars: list[BarCheck]
    stability: Stability


@dataclass(frozen=True, slots=True)
class BundleEvaluation:
    """The results of an evaluation.

    Args:
        version: Version of the bundle.
        facts: Facts that the bundle states of itself.
        pools: Results, one entry per pool.
        work: Results on catalogue models, one entry per source of a collection; empty unless asked for.
        decision: Time of a decision on this machine.
        left_out: Results on sources left out, one entry per pool; empty unless asked for.
        new_models: Results on new models, one entry per pool; empty unless asked for.
        ablations: Part left out -> source -> measure -> value; empty unless asked for.
        note: Advice on how to read the figures.
    """

    version: str
    facts: BundleFacts
    pools: list[PoolReport]
    work: list[SourceResult]
    decision: DecisionCost
    left_out: list[LeftOutSource]
    new_models: list[NewModels]
    ablations: dict[str, dict[str, dict[str, float]]]
    note: str


def evaluate_bundle(
    bundle_folder: Path, corpus_folder: Path, scope: EvaluationScope, progress: Progress
) -> BundleEvaluation:
    """Judge a bundle on a corpus.

    A bundle looks too good on a corpus that it was fitted to. There the recipe is judged by cross-validation instead of
    the bundle itself.

    Args:
        bundle_folder: Folder of the bundle.
        corpus_folder: Folder with `prompts.parquet`, `responses.parquet` and `prices.csv`.
        scope: Parts of the evaluation.
        progress: Display of the stages.

    Raises:
        TrainingError: The corpus is unusable, has no pool of priced models, or shares no model with the bundle.
        router.errors.BundleError: The bundle is unusable.
    """
    bundle, base = load_bundle(bundle_folder), read_base_bundle(bundle_folder)
    settings, seed = base.settings, scope.seed
    with progress.stage("Reading the corpus", None):
        corpus = _only_known(read_corpus(corpus_folder), bundle.trained_names, corpus_folder)
        prices = read_prices(corpus_folder / PRICES_FILE, corpus.trained_names)
        pools = make_pools(corpus, prices)
    with progress.stage("Encoding prompts", len(corpus.prompts)) as advance:
        encoded = encode_prompts(corpus.contexts(), base.table, lambda: advance(1))
    served = OnnxQualityModel(bundle)
    is_seen = _was_fitted_to(bundle_folder, corpus)
    if is_seen and not scope.is_in_sample:
        fold, beliefs = _cross_validate(corpus, encoded, pools, settings, seed, progress)
        note = _CROSS_VALIDATED.format(n_folds=settings.n_folds)
    else:
        fold, beliefs = _ask_bundle(served, corpus, seed, progress)
        note = _IN_SAMPLE if is_seen else _NOT_SEEN
    beaten = _fit_baselines(scope.baselines, corpus, encoded, fold, progress)
    judged = evaluate_beliefs(pools, beliefs, beaten)
    with progress.stage("Looking at each pool", len(pools)) as advance:
        reports = [_report(each, corpus, beliefs, beaten, fold, served, seed, advance) for each in judged]
    decision = time_decisions(
        served, corpus.prompts, max((pool.trained_names for pool in pools), key=len)[:_TIMED_LANES], seed
    )
    work = [] if scope.collection is None else _judge_work(scope, corpus_folder, base.table, progress)
    left_out: list[LeftOutSource] = []
    if scope.leaves_out:
        with progress.stage("Leaving sources out", len(pools)) as advance_share:
            left_out = judge_left_out(corpus, encoded, pools, settings, seed, advance_share)
    new_models: list[NewModels] = []
    if scope.adds_models:
        with progress.stage("Leaving models out", N_ROUNDS * settings.n_folds) as advance_share:
            new_models = judge_new_models(corpus, encoded, pools, prices, beliefs, settings, seed, advance_share)
    ablations: dict[str, dict[str, dict[str, float]]] = {}
    if scope.ablates:
        with progress.stage("Taking parts out", N_ABLATION_FITS * settings.n_folds) as advance_share:
            ablations = judge_ablations(corpus, encoded, pools, settings, seed, advance_share)
    facts = facts_of(bundle, read_manifest(bundle_folder))
    return BundleEvaluation(bundle.version, facts, reports, work, decision, left_out, new_models, ablations, note)


def _judge_work(
    scope: EvaluationScope, corpus_folder: Path, table: StaticTable, progress: Progress
) -> list[SourceResult]:
    """Return the results on each source of the collection."""
    chosen = scope.collection
    if chosen is None:
        return []
    with progress.stage("Reading the collection", None):
        corpora = [(corpus_folder.name, read_corpus(corpus_folder))]
        data = read_catalogue_data(chosen.folder, corpora, chosen.demands, every_licence=chosen.every_licence)
    with progress.stage("Fitting without the work that is kept aside", 1) as advance_share:
        aside = keep_aside(data, table, scope.seed, advance=advance_share)
    with progress.stage("Fitting learners of single sources", None):
        predicted = predictions_of(aside, trees="LightGBM" in scope.baselines)
    with progress.stage("Looking at each source", len(aside.sources)) as advance:
        return judge_sources(aside, predicted, chosen.folder, scope.seed, advance)


def _cross_validate(
    corpus: Corpus, encoded: EncodedPrompts, pools: Sequence[Pool], settings: FitSettings, seed: int, progress: Progress
) -> tuple[npt.NDArray[np.intp], Beliefs]:
    """Return (fold of each prompt, beliefs) of networks that are fitted here, out of fold."""
    with progress.stage(f"Fitting {settings.n_folds} folds", settings.n_folds) as advance_share:
        out_of_fold = fit_out_of_fold(corpus, encoded, pools, settings, seed, None, advance_share)
    return out_of_fold.fold, out_of_fold.honest_beliefs(corpus)


def _ask_bundle(
    served: QualityModel, corpus: Corpus, seed: int, progress: Progress
) -> tuple[npt.NDArray[np.intp], Beliefs]:
    """Return (fold of each prompt for the baselines, beliefs of the bundle itself)."""
    fold = assign_folds(group_near_duplicates(corpus.prompts), _BASELINE_FOLDS, seed)
    columns = [list(served.trained_names).index(name) for name in corpus.trained_names]
    with progress.stage("Predicting", len(corpus.prompts)) as advance:
        beliefs = ask(served, corpus.contexts(), lambda: advance(1)).of_models(columns)
    return fold, beliefs


def _report(
    judged: PoolEvaluation,
    corpus: Corpus,
    beliefs: Beliefs,
    beaten: Mapping[str, BaselineBeliefs],
    fold: npt.NDArray[np.intp],
    served: QualityModel,
    seed: int,
    advance: Callable[[float], None],
) -> PoolReport:
    pool = judged.pool
    routers: dict[str, Beliefs | BaselineBeliefs] = {OURS: beliefs, **beaten}
    report = PoolReport(
        judged,
        redraw(pool, routers, seed),
        by_task(pool, beliefs, corpus.tasks),
        by_difficulty(pool, routers, beliefs.difficulty.astype(np.float64)),
        reliability(pool, beliefs),
        check_bar(pool, beliefs, fold, seed),
        _stability(served, corpus, pool, seed),
    )
    advance(1)
    return report


def _fit_baselines(
    names: Sequence[str], corpus: Corpus, encoded: EncodedPrompts, fold: npt.NDArray[np.intp], progress: Progress
) -> dict[str, BaselineBeliefs]:
    inputs = InputScaler.fit(encoded).transform(encoded)
    fitted: dict[str, BaselineBeliefs] = {}
    with progress.stage("Fitting baselines", len(names)) as advance:
        for name in names:
            fitted[name] = cross_fit_baseline(BASELINES[name], corpus, inputs, fold)
            advance(1)
    return fitted


def _stability(served: QualityModel, corpus: Corpus, pool: Pool, seed: int) -> Stability:
    n_drawn = min(_STABILITY_PROMPTS, len(pool.rows))
    drawn = pool.take(np.sort(np.random.default_rng(seed).choice(len(pool.rows), n_drawn, replace=False)))
    columns = [served.trained_names.index(name) for name in pool.trained_names]

    def believe(prompts: Sequence[str]) -> Beliefs:
        return ask(served, [RouteContext.from_prompt(prompt) for prompt in prompts])

    return measure_stability(drawn, [corpus.prompts[row] for row in drawn.rows], believe, columns, seed)


def _only_known(corpus: Corpus, trained_names: tuple[str, ...], folder: Path) -> Corpus:
    columns = np.flatnonzero([name in trained_names for name in corpus.trained_names])
    if not len(columns):
        raise TrainingError(
            f"{folder}: the bundle knows none of its models ({', '.join(corpus.trained_names[:5])}, …): "
            "train a bundle on this corpus"
        )
    return corpus.of_models(columns)


def _was_fitted_to(bundle_folder: Path, corpus: Corpus) -> bool:
    recorded = read_manifest(bundle_folder).get("corpus")
    files = recorded.get("files") if isinstance(recorded, dict) else None
    return isinstance(files, dict) and files.get("prompts.parquet") == corpus.hashes["prompts.parquet"]
