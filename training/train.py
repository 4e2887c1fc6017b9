"""The training job: it reads a corpus and writes a bundle whose export was checked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from router.ability_prior import AbilityPrior
from training.bundle.reference_sample import sample_reference
from training.bundle.writer import Measures, TrainingRecord, check_bundle_place, write_bundle
from training.corpus.graded_corpus import PRICES_FILE, Corpus, Float32s, read_corpus, read_prices
from training.corpus.pools import find_pools
from training.demand.catalogue import (
    Catalogue,
    encode_catalogue_data,
    fit_catalogue,
    fit_catalogue_abilities,
    read_catalogue_data,
)
from training.evaluation.bundle_evaluation import evaluate_beliefs, flatten_measures
from training.network.base_bundle import BaseBundle, read_base_bundle
from training.network.cross_fit import fit_out_of_fold, fit_whole
from training.network.encoding import EncodedPrompts, encode_prompts
from training.network.input_scaler import InputScaler
from training.network.static_table import StaticTable, distil_table
from training.progress import Progress
from training.settings import FitSettings


@dataclass(frozen=True, slots=True)
class CatalogueSources:
    """Where beliefs about catalogue models are learned from.

    Args:
        collection: Folder with a folder for each graded source, and the tables of published figures.
        demands: Folder of prompts with expected demands.
        every_licence: Whether data without a free licence is read, too.
    """

    collection: Path
    demands: Path
    every_licence: bool = False


def train_bundle(
    corpus_folder: Path,
    out: Path,
    base_folder: Path | None,
    seed: int,
    progress: Progress,
    settings: FitSettings | None = None,
    table: StaticTable | None = None,
    sources: CatalogueSources | None = None,
) -> Measures:
    """Fit, calibrate, export, check and write a bundle; return its out-of-fold measures, source -> measure -> value.

    Args:
        corpus_folder: Folder with `prompts.parquet`, `responses.parquet` and, for choices and measures, `prices.csv`.
        out: Folder of the bundle; the folder's name becomes the bundle's name.
        base_folder: Earlier bundle to start from; None: start from nothing.
        seed: Seed of the folds, the initial weights and the order of prompts.
        progress: Display of the stages.
        settings: Settings of the fit; None: those of the base, or the defaults.
        table: Embedding table; None: that of the base, or a new one that is distilled here.
        sources: Data about catalogue models; None: the bundle knows the models of its corpus alone.

    Raises:
        TrainingError: The corpus is unusable or too small, or the export differs from the fit; nothing is written.
        router.errors.BundleError: The base is unusable.
    """
    check_bundle_place(out)
    with progress.stage("Reading the corpus", None):
        corpus = read_corpus(corpus_folder)
        prices = _read_prices(corpus_folder, corpus)
        pools = find_pools(corpus, prices)
    base = read_base_bundle(base_folder) if base_folder else None
    settings = settings or (base.settings if base else FitSettings())
    table = table or _table(base, settings, progress)
    with progress.stage("Encoding prompts", len(corpus.prompts)) as advance:
        encoded = encode_prompts(corpus.contexts(), table, lambda: advance(1))
    catalogue, scaler = _fit_catalogue(sources, corpus_folder.name, corpus, table, base, progress)
    with progress.stage(f"Fitting {settings.n_folds} folds", settings.n_folds) as advance:
        out_of_fold = fit_out_of_fold(corpus, encoded, pools, settings, seed, base, advance, scaler)
    with progress.stage("Fitting all prompts", 1) as advance:
        calibration = out_of_fold.calibrate(corpus, base)
        fitted = fit_whole(corpus, encoded, pools, table, calibration, settings, seed, base, advance, scaler)
    with progress.stage("Measuring out of fold", None):
        honest = out_of_fold.honest_beliefs(corpus)
        # Without priced models there are no choices to measure; the fit itself is still useful.
        measures = flatten_measures(evaluate_beliefs(pools, honest)) if pools else {}
        demand = catalogue.demand_of(fitted.scaler.transform(encoded)) if catalogue else None
        reference = sample_reference(corpus, honest, seed, demand)
        ability_prior = AbilityPrior.fit(corpus.trained_names, calibration.abilities.tolist(), prices[:, 1].tolist())
    record = TrainingRecord(seed, base.version if base else None, measures, reference, ability_prior, catalogue)
    with progress.stage("Exporting and proving parity", len(corpus.prompts)) as advance:
        write_bundle(out, fitted, corpus, encoded, record, lambda: advance(1))
    return measures


def _fit_catalogue(
    sources: CatalogueSources | None,
    corpus_name: str,
    corpus: Corpus,
    table: StaticTable,
    base: BaseBundle | None,
    progress: Progress,
) -> tuple[Catalogue | None, InputScaler | None]:
    """Return the catalogue and the scaler of all prompts; None and None without sources."""
    if sources is None:
        return None, None
    with progress.stage("Reading graded work", None):
        data = read_catalogue_data(
            sources.collection, [(corpus_name, corpus)], sources.demands, every_licence=sources.every_licence
        )
    n_prompts = len(data.work.prompts) + len(data.examples.prompts)
    with progress.stage("Encoding graded work", n_prompts) as advance_prompt:
        encoded: EncodedPrompts = encode_catalogue_data(data, table, lambda: advance_prompt(1))
    scaler = base.scaler if base else InputScaler.fit(encoded)
    with progress.stage("Fitting abilities", None):
        abilities = fit_catalogue_abilities(data)
    with progress.stage("Fitting demands", 1) as advance:
        return fit_catalogue(data, encoded, scaler, abilities, None, advance), scaler


def _table(base: BaseBundle | None, settings: FitSettings, progress: Progress) -> StaticTable:
    if base:
        return base.table
    with progress.stage("Distilling the teacher", None):
        return distil_table(settings.n_dimensions)


def _read_prices(folder: Path, corpus: Corpus) -> Float32s:
    if (folder / PRICES_FILE).is_file():
        return read_prices(folder / PRICES_FILE, corpus.trained_names)
    return np.full((len(corpus.trained_names), 2), np.nan, np.float32)
