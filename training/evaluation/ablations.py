"""Measures the value of each part of the recipe: fit and judge the recipe without that part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from training.corpus.graded_corpus import Corpus
from training.corpus.routing_measures import Pool
from training.evaluation.bundle_evaluation import evaluate_beliefs, flatten_measures
from training.network.cross_fit import fit_out_of_fold
from training.network.encoding import EncodedPrompts
from training.settings import FitSettings

Part = tuple[EncodedPrompts, FitSettings]


def _without_embedding(encoded: EncodedPrompts, settings: FitSettings) -> Part:
    return replace(encoded, embeddings=np.zeros_like(encoded.embeddings)), settings


def _without_marks(encoded: EncodedPrompts, settings: FitSettings) -> Part:
    return replace(encoded, features=np.zeros_like(encoded.features)), settings


def _without_tasks(encoded: EncodedPrompts, settings: FitSettings) -> Part:
    return encoded, replace(settings, task_weight=0.0)


def _without_choices(encoded: EncodedPrompts, settings: FitSettings) -> Part:
    return encoded, replace(settings, regret_weight=0.0)


def _one_network(encoded: EncodedPrompts, settings: FitSettings) -> Part:
    return encoded, replace(settings, n_members=1)


ABLATIONS: Mapping[str, Callable[[EncodedPrompts, FitSettings], Part]] = MappingProxyType(
    {
        "without the embedding": _without_embedding,
        "without the structural marks": _without_marks,
        "without naming the task": _without_tasks,
        "without soft choices in the loss": _without_choices,
        "one network instead of two": _one_network,
    }
)
WITHOUT_PEERS = "without a say of the peers"
N_ABLATION_FITS = len(ABLATIONS) + 1


def judge_ablations(
    corpus: Corpus,
    encoded: EncodedPrompts,
    pools: Sequence[Pool],
    settings: FitSettings,
    seed: int,
    advance: Callable[[float], None] = lambda share: None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Return part left out -> source -> measure -> value, cross-validated.

    `advance` is called with the share of one network's fit that is done since the last call.
    """
    measures = {}
    for name, take_out in ABLATIONS.items():
        left, changed = take_out(encoded, settings)
        fits = fit_out_of_fold(corpus, left, pools, changed, seed, None, advance)
        measures[name] = flatten_measures(evaluate_beliefs(pools, fits.honest_beliefs(corpus)))
    fits = fit_out_of_fold(corpus, encoded, pools, settings, seed, None, advance)
    # Peers are models of one source. If every prompt has a source of its own, no model has peers.
    alone = replace(corpus, sources=np.arange(len(corpus.prompts)).astype(np.str_))
    measures[WITHOUT_PEERS] = flatten_measures(evaluate_beliefs(pools, fits.honest_beliefs(alone)))
    return measures
