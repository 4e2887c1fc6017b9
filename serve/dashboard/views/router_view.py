"""The quality model that decides, from its manifest and its graded answers, and exploration in this month.

Pure, except that it reads the bundle.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from router.bundle import load_bundle, read_manifest
from router.errors import BundleError
from router.pool_figures import PoolFigures, figures_for
from serve.dashboard.charts.reliability import ReliabilityBin, calibration_error, reliability_bins
from serve.money.budget import Nusd
from serve.routing.exploration.explorer import Explorer


@dataclass(frozen=True, slots=True)
class PoolMeasure:
    """Cross-validated measures of the bundle on one pool of its corpus. docs/quality.md explains them."""

    name: str
    prompts: int
    models: int
    gap_closed: float | None
    save_95: float | None
    save_100: float | None
    auc: float | None
    brier: float | None
    ece: float | None


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """One model that the bundle was trained on: number of graded answers, and ability in log odds."""

    name: str
    graded_answers: int
    ability: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predicted against observed quality: the filled bins, the number of answers in them, and the mean distance."""

    bins: Sequence[ReliabilityBin]
    answers: int
    error: float | None


@dataclass(frozen=True, slots=True)
class PoolLine:
    """The makers' figures for one kind of work, as the page shows them.

    Args:
        figures: Figures.
        is_own: Whether the lanes of this gateway reach at least four fifths of the models that were measured.
        verdict: Sentence that says whether routing pays.
    """

    figures: PoolFigures
    is_own: bool
    verdict: str


@dataclass(frozen=True, slots=True)
class RouterView:
    """The bundle.

    Args:
        prompts, answers: Numbers of graded prompts and of graded answers, over all sources.
        sources: Sources of graded answers as (name, number of prompts).
        n_known: Number of models whose quality rests on grades or published scores.
        models: Models that the graph itself was trained on.
        reliability: Reliability on its graded answers; None: the bundle has none.
    """

    name: str
    features_version: int
    teacher: str
    prompts: int
    answers: int
    sources: Sequence[tuple[str, int]]
    n_known: int
    measures: Sequence[PoolMeasure]
    models: Sequence[TrainedModel]
    reliability: Reliability | None


@dataclass(frozen=True, slots=True)
class ExplorationView:
    """Exploration in this month, over all workers, as of a second ago.

    Args:
        share: Share of the requests that may explore.
        n_explored: Number of requests that explored.
        spent_nusd: Expected loss of these requests.
        ceiling_nusd: Most expected loss in a month.
    """

    share: float
    n_explored: int
    spent_nusd: Nusd
    ceiling_nusd: Nusd


def exploration_view(explorer: Explorer | None) -> ExplorationView | None:
    """Return the exploration of this month; None: exploration is off, or its budget was not read yet."""
    if explorer is None or explorer.budget.month is None:
        return None
    month = explorer.budget.month
    return ExplorationView(explorer.terms.share, month.n_explored, month.spent_nusd, explorer.budget.ceiling_nusd)


def pool_lines(figures: Sequence[PoolFigures], models: Collection[str]) -> list[PoolLine]:
    """Return the makers' figures that concern a gateway, one line for each kind of work.

    Args:
        figures: Figures of the bundle.
        models: Models of the gateway's lanes, `vendor/model`.
    """
    return [PoolLine(each, is_own, _verdict(each, is_own)) for each, is_own in figures_for(figures, models)]


def _verdict(figures: PoolFigures, is_own: bool) -> str:
    keys = "With these keys" if is_own else f"With keys of {', '.join(figures.keys)}"
    if figures.saves:
        return f"{keys}, routing gains {100 * figures.lead:.1f} points on such work."
    if figures.lead_low > 0:
        return f"{keys}, routing may pay on such work; the prompts are too few to say."
    return f"{keys}, routing saves nothing on such work."


def reliability_of(predicted: Sequence[float], observed: Sequence[float], fewest: int = 10) -> Reliability | None:
    """Return the reliability of pairs; None: no tenth has enough of them."""
    bins = reliability_bins(np.asarray(predicted, np.float64), np.asarray(observed, np.float64), fewest)
    return Reliability(bins, sum(each.count for each in bins), calibration_error(bins)) if bins else None


@lru_cache(maxsize=4)
def router_view(folder: Path) -> RouterView:
    """Return the view of a bundle's folder. Fields that its manifest lacks are unknown."""
    manifest: Mapping[str, Any] = read_manifest(folder)
    corpus: Mapping[str, Any] = manifest.get("corpus") or {}
    catalogue: Mapping[str, Any] = manifest.get("catalogue") or {}
    prompts: Mapping[str, int] = catalogue.get("prompts") or corpus.get("sources") or {}
    graded: Mapping[str, int] = manifest.get("graded_answers") or {}
    abilities: Mapping[str, float] = manifest.get("abilities") or {}
    measures: Mapping[str, Mapping[str, Any]] = manifest.get("measures") or {}
    return RouterView(
        name=str(manifest.get("name", folder.name)),
        features_version=int(manifest.get("features_version", 0)),
        teacher=str(manifest.get("teacher") or "unknown"),
        prompts=sum(map(int, prompts.values())) or int(corpus.get("prompts", 0)),
        answers=int(catalogue.get("answers") or corpus.get("answers", 0)),
        sources=sorted((str(name), int(n)) for name, n in prompts.items()),
        n_known=int(catalogue.get("models") or len(abilities)),
        measures=[_measure(name, values) for name, values in sorted(measures.items())],
        models=sorted(
            (TrainedModel(name, int(graded.get(name, 0)), float(ability)) for name, ability in abilities.items()),
            key=lambda model: -model.ability,
        ),
        reliability=_graded_reliability(folder),
    )


def _measure(name: str, values: Mapping[str, Any]) -> PoolMeasure:
    wanted = ("gap_closed", "save_95", "save_100", "auc", "brier", "ece")
    measures = {key: None if values.get(key) is None else float(values[key]) for key in wanted}
    return PoolMeasure(name, int(values.get("prompts", 0)), int(values.get("models", 0)), **measures)


def _graded_reliability(folder: Path) -> Reliability | None:
    """Return the reliability on the bundle's sample.

    The predictions are those of networks that saw neither the prompt nor a near-duplicate of it.
    """
    try:
        reference = load_bundle(folder).read_reference()
    except BundleError:
        return None
    is_graded = ~np.isnan(reference.score)
    bins = reliability_bins(reference.quality[is_graded], reference.score[is_graded])
    return Reliability(bins, int(is_graded.sum()), calibration_error(bins))
