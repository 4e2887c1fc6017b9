"""Three studies on the collection: the comparison, sources that were never seen, and parts taken out.

The first and the third fit to 70% of the prompts and judge on the others. Near-duplicates, and prompts of one instance,
stay together. The second leaves out one source at a time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from training.corpus.splits import assign_folds, group_near_duplicates
from training.demand.asked_work import AskedWork
from training.demand.catalogue import CatalogueData, encode_catalogue_data
from training.errors import SettingsError
from training.network.encoding import EncodedPrompts
from training.network.input_scaler import InputScaler
from training.network.static_table import StaticTable
from training.pools.comparison import PoolComparison, compare
from training.pools.complexity_tiers import read_tiers
from training.pools.fits import Advance, Recipe, ablations, fit_and_ask
from training.pools.policies import OURS, OURS_WITH_COSTS, SplitPool, fixed_choices, learned_routers, our_routers
from training.pools.work_pools import Floats, Ints, WorkPool, find_pools, instance_groups

_PARTS, _PARTS_ASIDE = 10, 3
_FEWEST_ASIDE = 5
"""A pool with fewer prompts kept aside is not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The data of all studies, divided once.

    Args:
        collection: Folder of the sources.
        data: Everything that catalogue models are learned from.
        encoded: Graded prompts, then those with expected demands.
        fitted, aside: Places of the graded prompts to learn from, and of those kept aside.
        seed: Seed of the split and of the redraws.
    """

    collection: Path
    data: CatalogueData
    encoded: EncodedPrompts
    fitted: Ints
    aside: Ints
    seed: int

    @classmethod
    def of(cls, collection: Path, data: CatalogueData, table: StaticTable, seed: int) -> "Study":
        """Encode and divide the prompts."""
        groups = instance_groups(group_near_duplicates(data.work.prompts), data.work)
        part = assign_folds(groups, _PARTS, seed)
        fitted, aside = np.flatnonzero(part >= _PARTS_ASIDE), np.flatnonzero(part < _PARTS_ASIDE)
        return cls(collection, data, encode_catalogue_data(data, table), fitted, aside, seed)

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of the collection."""
        return tuple(str(source) for source in np.unique(self.data.work.sources) if (self.collection / source).is_dir())


@dataclass(frozen=True, slots=True)
class UnseenSource:
    """Figures of a source that a fit did not see.

    Args:
        source: Name of the source.
        n_prompts, n_cells: Number of prompts and of graded cells.
        brier_told_nothing: Mean squared error of the grade by the mean of all cells of the other sources.
        brier: The same by llmdeal.
        gap_closed: Share of the gap that choices by llmdeal close on the pool of all keys; None: the source states no
            costs, or has no pool.
        gap_closed_costs_known: The same, with the mean cost of each lane in the source known.
    """

    source: str
    n_prompts: int
    n_cells: int
    brier_told_nothing: float
    brier: float
    gap_closed: float | None
    gap_closed_costs_known: float | None


@dataclass(frozen=True, slots=True)
class Ablation:
    """Figures of one recipe on one source: Brier score, and the gaps closed as in `UnseenSource`."""

    left_out: str
    source: str
    brier: float
    gap_closed: float | None
    gap_closed_costs_known: float | None


def key_sets(keys: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all sets of keys, the largest first."""
    return [chosen for size in range(len(keys), 0, -1) for chosen in combinations(sorted(keys), size)]


def compare_pools(
    study: Study, keys: Sequence[str], litellm: Path | None, recipe: Recipe, advance: Advance = lambda share: None
) -> list[PoolComparison]:
    """Compare all policies on every pool of every set of keys.

    Args:
        study: Data.
        keys: Providers whose keys are there.
        litellm: Python with `litellm[proxy]`. None: its router is left out.
        recipe: Recipe of the fit.
        advance: Function to call with the share of the fit that is done since the last call.

    Raises:
        SettingsError: No source has a pool, or LiteLLM cannot be asked.
    """
    pools = [(pool, split) for chosen in key_sets(keys) for pool, split in _split_pools(study, chosen)]
    if not pools:
        raise SettingsError(f"no source has three lanes at {', '.join(keys)}: name more providers in --keys")
    prompts = sorted({int(pool.places[place]) for pool, split in pools for place in split.aside})
    tiers = None if litellm is None else read_tiers(litellm, [study.data.work.prompts[place] for place in prompts])
    tier_of = dict(zip(prompts, tiers or [], strict=False))
    asked = fit_and_ask(study.data, study.encoded, study.fitted, study.aside, recipe, advance)
    results, lanes_seen = [], set()
    for pool, split in pools:
        if (pool.source, pool.lanes) in lanes_seen:  # another set of keys reaches the same lanes
            continue
        lanes_seen.add((pool.source, pool.lanes))
        of_prompts = None if tiers is None else [tier_of[int(place)] for place in pool.places[split.aside]]
        routers = learned_routers(split) | our_routers(split, *_of_pool(split, asked, study.aside))
        results.append(compare(split, fixed_choices(split, of_prompts), routers, study.seed))
    return results


def judge_unseen(study: Study, keys: Collection[str], recipe: Recipe, source: str) -> UnseenSource:
    """Fit without a source of the collection, and judge on all of its prompts."""
    work = study.data.work
    here = np.flatnonzero(work.sources == source)
    others = np.flatnonzero(work.sources != source)
    asked = fit_and_ask(study.data, study.encoded, others, here, recipe)
    score = work.scores[here].astype(np.float64)
    of_others = [
        np.nanmean(work.scores[work.sources == name]) for name in np.unique(work.sources[others])
    ]  # every source counts alike: the exams would be nearly all cells
    gaps = _gaps(study, keys, asked, here, source, np.arange(len(here)))
    return UnseenSource(
        source,
        len(here),
        int((~np.isnan(score)).sum()),
        float(np.nanmean((np.mean(of_others) - score) ** 2)),
        float(np.nanmean((asked.chance - score) ** 2)),
        *gaps,
    )


def judge_ablations(study: Study, keys: Collection[str], recipe: Recipe) -> list[Ablation]:
    """Fit with each part of the recipe taken out in turn, and judge on the prompts that were kept aside."""
    results = []
    work = study.data.work
    for name, changed in ablations(recipe).items():
        asked = fit_and_ask(study.data, study.encoded, study.fitted, study.aside, changed)
        for source in study.sources:
            rows = np.flatnonzero(work.sources[study.aside] == source)
            score = work.scores[study.aside[rows]].astype(np.float64)
            if np.isnan(score).all():
                continue
            brier = float(np.nanmean((asked.chance[rows] - score) ** 2))
            results.append(Ablation(name, source, brier, *_gaps(study, keys, asked, study.aside, source, rows)))
    return results


def _split_pools(study: Study, keys: Collection[str]) -> list[tuple[WorkPool, SplitPool]]:
    pools = find_pools(study.collection, study.data.work, keys)
    scaler = InputScaler.fit(study.encoded.rows(study.fitted))
    divided = []
    for pool in pools:
        is_aside = np.isin(pool.places, study.aside)
        fitted, aside = np.flatnonzero(~is_aside), np.flatnonzero(is_aside)
        if len(aside) < _FEWEST_ASIDE or not len(fitted):
            continue
        encoded = study.encoded.rows(pool.places)
        divided.append((pool, SplitPool(pool, fitted, aside, encoded.embeddings, scaler.transform(encoded))))
    return divided


def _of_pool(split: SplitPool, asked: AskedWork, asked_places: Ints) -> tuple[Floats, Floats]:
    """Return quality and completion tokens, each (k, m), of a pool's prompts that are kept aside and its lanes."""
    row_of = {int(place): row for row, place in enumerate(asked_places)}
    rows = np.array([row_of[int(place)] for place in split.pool.places[split.aside]])
    chosen = np.ix_(rows, split.pool.columns)
    return asked.chance[chosen], asked.expected_tokens[chosen]


def _gaps(
    study: Study, keys: Collection[str], asked: AskedWork, asked_places: Ints, source: str, rows: Ints
) -> tuple[float | None, float | None]:
    """Return the gap closed on a source with stated costs, from the text alone and with costs known."""
    pool = next((pool for pool in find_pools(study.collection, study.data.work, keys) if pool.source == source), None)
    judged = set(asked_places[rows].tolist())
    if pool is None or pool.cost_basis != "paid":
        return None, None
    aside = np.flatnonzero([int(place) in judged for place in pool.places])
    if len(aside) < _FEWEST_ASIDE:
        return None, None
    # If all prompts of the source are judged, its lanes' costs are those of the same prompts.
    others = np.setdiff1d(np.arange(len(pool.places)), aside)
    fitted = others if len(others) else aside
    encoded = study.encoded.rows(pool.places)
    split = SplitPool(pool, fitted, aside, encoded.embeddings, encoded.features)
    routers = our_routers(split, *_of_pool(split, asked, asked_places))
    policies = compare(split, fixed_choices(split, None), routers, study.seed).policies
    return policies[OURS].gap_closed, policies[OURS_WITH_COSTS].gap_closed
