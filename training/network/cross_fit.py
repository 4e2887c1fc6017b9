"""Out-of-fold beliefs: the network that judges a prompt saw neither it nor any near-duplicate of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from training.corpus.graded_corpus import Corpus
from training.corpus.routing_measures import Pool
from training.corpus.splits import assign_folds, group_near_duplicates
from training.network.base_bundle import BaseBundle
from training.network.calibration import Calibration, fit_calibration
from training.network.encoding import EncodedPrompts
from training.network.fitted_model import Beliefs, FittedModel
from training.network.fitting import FitTargets, fit_network
from training.network.input_scaler import InputScaler
from training.network.outputs import NetworkOutputs, gather_folds, run_network
from training.network.regret import price_pools
from training.network.static_table import StaticTable
from training.settings import FitSettings

Advance = Callable[[float], None]


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Outputs for prompts, from networks that were not fitted to them.

    Args:
        outputs: Outputs with one row per prompt.
        fold: Shape (n,); fold of each prompt.
    """

    outputs: NetworkOutputs
    fold: npt.NDArray[np.intp]

    def calibrate(self, corpus: Corpus, base: BaseBundle | None) -> Calibration:
        """Return the calibration that is fitted to all folds together."""
        return fit_calibration(
            self.outputs,
            corpus.scores,
            corpus.completion_tokens,
            corpus.sources,
            base.difficulty_offset if base else None,
        )

    def honest_beliefs(self, corpus: Corpus) -> Beliefs:
        """Return beliefs with a calibration that was also fitted to the other folds; for figures, never for serving."""
        parts = []
        for held_out in np.unique(self.fold):
            kept, judged = self.fold != held_out, self.fold == held_out
            calibration = fit_calibration(
                self.outputs.rows(kept), corpus.scores[kept], corpus.completion_tokens[kept], corpus.sources[kept]
            )
            parts.append((np.flatnonzero(judged), Beliefs.of(self.outputs.rows(judged), calibration)))
        order = np.argsort(np.concatenate([rows for rows, _ in parts]))

        def joined(name: str) -> npt.NDArray[np.float32]:
            return np.concatenate([getattr(beliefs, name) for _, beliefs in parts])[order]

        return Beliefs(joined("quality"), joined("quality_std"), joined("completion_tokens"), joined("difficulty"))


def fit_out_of_fold(
    corpus: Corpus,
    encoded: EncodedPrompts,
    pools: Sequence[Pool],
    settings: FitSettings,
    seed: int,
    base: BaseBundle | None,
    advance: Advance,
    scaler: InputScaler | None = None,
) -> OutOfFold:
    """Fit one network per fold, and return its outputs for the fold that it did not see.

    Args:
        corpus, encoded, pools: Graded answers, their encoded prompts, and the priced models to choose between.
        settings, seed: Settings of the fits, and the seed of folds and fits.
        base: Earlier bundle to start from; None: start from nothing.
        advance: Function to call after each step, with the share of one fold's steps.
        scaler: Scaler of the inputs; None: that of the base, or one for each fold.

    Raises:
        SettingsError: The corpus has fewer distinct prompts than folds.
    """
    fold = assign_folds(group_near_duplicates(corpus.prompts), settings.n_folds, seed)
    parts = []
    for held_out in range(settings.n_folds):
        kept, judged = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        fold_scaler = scaler or (base.scaler if base else InputScaler.fit(encoded.rows(kept)))
        network = fit_network(
            fold_scaler.transform(encoded.rows(kept)),
            targets_of(corpus, pools, kept),
            settings,
            seed,
            _transfer(corpus, base),
            advance,
        )
        parts.append((judged, run_network(network, fold_scaler.transform(encoded.rows(judged)))))
    return OutOfFold(gather_folds(parts), fold)


def fit_whole(
    corpus: Corpus,
    encoded: EncodedPrompts,
    pools: Sequence[Pool],
    table: StaticTable,
    calibration: Calibration,
    settings: FitSettings,
    seed: int,
    base: BaseBundle | None,
    advance: Advance,
    scaler: InputScaler | None = None,
) -> FittedModel:
    """Fit to every prompt; the calibration comes from out-of-fold outputs."""
    scaler = scaler or (base.scaler if base else InputScaler.fit(encoded))
    inputs = scaler.transform(encoded)
    targets = targets_of(corpus, pools, np.arange(len(corpus.prompts)))
    network = fit_network(inputs, targets, settings, seed, _transfer(corpus, base), advance)
    return FittedModel(corpus.trained_names, table, scaler, network, calibration, settings)


def targets_of(corpus: Corpus, pools: Sequence[Pool], rows: npt.NDArray[np.intp]) -> FitTargets:
    """Return the targets that the network learns for these prompts."""
    names, index = np.unique(corpus.task_kinds(), return_inverse=True)
    priced = price_pools(pools, rows, len(corpus.prompts))
    task_index = index.astype(np.intp)[rows]
    return FitTargets(corpus.scores[rows], corpus.completion_tokens[rows], task_index, len(names), priced)


def _transfer(corpus: Corpus, base: BaseBundle | None) -> "Callable[..., None] | None":
    return partial(base.transfer, trained_names=corpus.trained_names) if base else None
