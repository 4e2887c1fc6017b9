"""The evaluation job: a bundle against graded answers, honest about whether it has seen them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.bundle import load_bundle, read_manifest
from router.context import RouteContext
from router.onnx_quality_model import OnnxQualityModel
from router.quality_model import QualityModel
from training.base_bundle import read_base_bundle
from training.baselines import BASELINES, QUICK_BASELINES, BaselineBeliefs, cross_fit_baseline
from training.corpus import Corpus, read_corpus, read_prices
from training.cross_fit import fit_out_of_fold
from training.encoding import EncodedPrompts, encode_prompts
from training.errors import TrainingError
from training.evaluation import PoolEvaluation, evaluate_beliefs
from training.fitted_model import Beliefs
from training.input_scaler import InputScaler
from training.left_out import LeftOutSource, judge_left_out
from training.pools import make_pools
from training.predict import ask
from training.routing_measures import Pool
from training.splits import assign_folds, group_near_duplicates
from training.stability import Stability, measure_stability
from training.train import PRICES_FILE, Progress

_BASELINE_FOLDS = 5
_STABILITY_PROMPTS = 500
_CROSS_VALIDATED = (
    "The bundle was fitted to these prompts, so its recipe was judged by cross-validation ({n_folds} folds, "
    "near-duplicates kept together). --in-sample judges the bundle itself."
)
_IN_SAMPLE = "IN SAMPLE: the bundle was fitted to these prompts; on others it does worse."
_NOT_SEEN = "The bundle has not seen this corpus; the baselines were fitted to it, over folds."


@dataclass(frozen=True, slots=True)
class BundleEvaluation:
    """What came out.

    Args:
        version: Of the bundle.
        pools: One entry per pool.
        stability: One entry per pool; always of the bundle itself, which has to choose alike, whether it has seen the prompts or not.
        left_out: One entry per pool, where asked for.
        note: How the figures are to be read.
    """

    version: str
    pools: list[PoolEvaluation]
    stability: list[Stability]
    left_out: list[LeftOutSource]
    note: str


def evaluate_bundle(
    bundle_folder: Path,
    corpus_folder: Path,
    is_in_sample: bool,
    seed: int,
    progress: Progress,
    baselines: Sequence[str] = QUICK_BASELINES,
    leaves_out: bool = False,
) -> BundleEvaluation:
    """Judge a bundle on a corpus.

    A corpus that the bundle was fitted to flatters it, so there the recipe is judged by cross-validation instead of the bundle itself.

    Args:
        bundle_folder: The bundle.
        corpus_folder: `prompts.parquet`, `responses.parquet` and `prices.csv`.
        is_in_sample: Judge the bundle itself, even on prompts that it was fitted to.
        seed: Of the folds, for cross-validation and for the baselines.
        progress: Where to show how far it is.
        baselines: Names from `training.baselines.BASELINES`.
        leaves_out: Judge each source by a network that saw none of it, too.

    Raises:
        TrainingError: The corpus is unusable, has no pool of priced models, or shares no model with the bundle.
        router.errors.BundleError: The bundle is unusable.
    """
    bundle, base = load_bundle(bundle_folder), read_base_bundle(bundle_folder)
    with progress.stage("Reading the corpus", None):
        corpus = _only_known(read_corpus(corpus_folder), bundle.trained_names, corpus_folder)
        pools = make_pools(corpus, read_prices(corpus_folder / PRICES_FILE, corpus.trained_names))
    with progress.stage("Encoding prompts", len(corpus.prompts)) as advance:
        encoded = encode_prompts(corpus.contexts(), base.table, lambda: advance(1))
    served = OnnxQualityModel(bundle)
    is_seen = _was_fitted_to(bundle_folder, corpus)
    if is_seen and not is_in_sample:
        with progress.stage(f"Fitting {base.settings.n_folds} folds", base.settings.n_folds) as advance_share:
            out_of_fold = fit_out_of_fold(corpus, encoded, pools, base.settings, seed, None, advance_share)
        fold, beliefs = out_of_fold.fold, out_of_fold.honest_beliefs(corpus)
        note = _CROSS_VALIDATED.format(n_folds=base.settings.n_folds)
    else:
        fold = assign_folds(group_near_duplicates(corpus.prompts), _BASELINE_FOLDS, seed)
        columns = [bundle.trained_names.index(name) for name in corpus.trained_names]
        with progress.stage("Predicting", len(corpus.prompts)) as advance:
            beliefs = ask(served, corpus.contexts(), lambda: advance(1)).of_models(columns)
        note = _IN_SAMPLE if is_seen else _NOT_SEEN
    beaten = _fit_baselines(baselines, corpus, encoded, fold, progress)
    with progress.stage("Measuring", None):
        judged = evaluate_beliefs(pools, beliefs, beaten)
    with progress.stage("Perturbing prompts", None):
        stability = [_stability(served, corpus, pool, seed) for pool in pools]
    left_out: list[LeftOutSource] = []
    if leaves_out:
        with progress.stage("Leaving sources out", len(pools)) as advance_share:
            left_out = judge_left_out(corpus, encoded, pools, base.settings, seed, advance_share)
    return BundleEvaluation(bundle.version, judged, stability, left_out, note)


def _fit_baselines(
    names: Sequence[str], corpus: Corpus, encoded: EncodedPrompts, fold: npt.NDArray[np.intp], progress: Progress
) -> dict[str, BaselineBeliefs]:
    inputs = InputScaler.fit(encoded).transform(encoded)
    found: dict[str, BaselineBeliefs] = {}
    with progress.stage("Fitting baselines", len(names)) as advance:
        for name in names:
            found[name] = cross_fit_baseline(BASELINES[name], corpus, inputs, fold)
            advance(1)
    return found


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
            f"{folder}: the bundle knows none of the models in it ({', '.join(corpus.trained_names[:5])}, …): train one on this corpus"
        )
    return corpus.of_models(columns)


def _was_fitted_to(bundle_folder: Path, corpus: Corpus) -> bool:
    recorded = read_manifest(bundle_folder).get("corpus")
    files = recorded.get("files") if isinstance(recorded, dict) else None
    return isinstance(files, dict) and files.get("prompts.parquet") == corpus.hashes["prompts.parquet"]
