"""The evaluation job: a bundle against graded answers, honest about whether it has seen them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from router.bundle import load_bundle, read_manifest
from router.onnx_quality_model import OnnxQualityModel
from training.base_bundle import read_base_bundle
from training.corpus import Corpus, read_corpus, read_prices
from training.cross_fit import fit_out_of_fold
from training.encoding import encode_prompts
from training.errors import TrainingError
from training.evaluation import PoolEvaluation, evaluate_beliefs
from training.pools import make_pools
from training.predict import ask
from training.splits import assign_folds, group_near_duplicates
from training.train import PRICES_FILE, Progress

_NEIGHBOUR_FOLDS = 5


@dataclass(frozen=True, slots=True)
class BundleEvaluation:
    """What came out.

    Args:
        version: Of the bundle.
        pools: One entry per pool.
        note: How the figures are to be read.
    """

    version: str
    pools: list[PoolEvaluation]
    note: str


def evaluate_bundle(
    bundle_folder: Path, corpus_folder: Path, is_in_sample: bool, seed: int, progress: Progress
) -> BundleEvaluation:
    """Judge a bundle on a corpus.

    A corpus that the bundle was fitted to flatters it, so there the recipe is judged by cross-validation instead of the bundle itself.

    Args:
        bundle_folder: The bundle.
        corpus_folder: `prompts.parquet`, `responses.parquet` and `prices.csv`.
        is_in_sample: Judge the bundle itself, even on prompts that it was fitted to.
        seed: Of the folds, for cross-validation and for the nearest neighbours.
        progress: Where to show how far it is.

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
    is_seen = _was_fitted_to(bundle_folder, corpus)
    if is_seen and not is_in_sample:
        with progress.stage(f"Fitting {base.settings.n_folds} folds", base.settings.n_folds) as advance_share:
            out_of_fold = fit_out_of_fold(corpus, encoded, pools, base.settings, seed, None, advance_share)
        fold, beliefs = out_of_fold.fold, out_of_fold.honest_beliefs(corpus)
        note = (
            f"The bundle was fitted to these prompts, so its recipe was judged by cross-validation ({base.settings.n_folds} folds, "
            "near-duplicates kept together). --in-sample judges the bundle itself."
        )
    else:
        fold = assign_folds(group_near_duplicates(corpus.prompts), _NEIGHBOUR_FOLDS, seed)
        served = OnnxQualityModel(bundle)
        columns = [bundle.trained_names.index(name) for name in corpus.trained_names]
        with progress.stage("Predicting", len(corpus.prompts)) as advance:
            beliefs = ask(served, corpus.contexts(), lambda: advance(1)).of_models(columns)
        note = (
            "IN SAMPLE: the bundle was fitted to these prompts; on others it does worse."
            if is_seen
            else "The bundle has not seen this corpus; the nearest neighbours were fitted to it, over folds."
        )
    with progress.stage("Measuring", None):
        judged = evaluate_beliefs(corpus, pools, beliefs, encoded.embeddings, fold)
    return BundleEvaluation(bundle.version, judged, note)


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
