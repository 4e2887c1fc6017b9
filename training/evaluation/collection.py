"""Judges what is believed of catalogue models, on prompts of a collection that were kept aside.

The recipe is fitted to 70% of the prompts, near-duplicates kept together, and asked about the others: the same split as
`training.demand.kept_aside`. It reads the text of a prompt alone. The learners that it is compared with are fitted to
each source by itself, and are told which source a prompt is from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.abilities.graded_answers import of_main_agent
from training.abilities.graded_columns import RowName
from training.corpus.routing_measures import Pool, calibration_error, measure_router, single_models
from training.demand.graded_work import GradedWork
from training.demand.kept_aside import WorkAside, row_means
from training.evaluation.baselines import BaselineBeliefs, boosted_trees
from training.evaluation.bootstrap import Interval, redraw
from training.evaluation.bundle_evaluation import OURS

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

OWN_MEANS, NEIGHBOURS, TREES = "own means", "kNN-50", "LightGBM"
_N_NEIGHBOURS = 50
_N_REDRAWS = 300
_N_BINS = 10
_POOL_GRADED, _POOL_PRICED = 0.93, 0.9
_FEWEST_IN_POOL, _FEWEST_PROMPTS = 3, 10
_SCALED_COST = 1e-3
"""Median cost of a pool's answers after scaling, USD: the trades between quality and cost are made for such costs."""
_FEWEST_CELLS = 15
_MOST_POINTS = 500
_EXCERPT = 110


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Stated chances against grades, in ten equal bins of the stated chance; empty bins are left out.

    Args:
        stated, graded: Mean stated chance and mean grade of each bin, shape (b,).
        cells: Number of cells of each bin, shape (b,).
        error: Mean |stated - graded| over 15 bins, weighted with their cells.
    """

    stated: Floats
    graded: Floats
    cells: npt.NDArray[np.intp]
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """Predicted lengths of answers against counted ones.

    Args:
        what: "billed tokens", reasoning included, or "visible tokens" if the source counts no others.
        n: Number of answers with a length.
        off: Median of |log2(predicted / counted)|, octaves.
        off_by_means: The same for each row's mean length in the source.
        bias: Median of log2(predicted / counted): above 0, too long.
        predicted, counted: Tokens of at most 500 answers that were drawn at random.
    """

    what: str
    n: int
    off: float
    off_by_means: float
    bias: float
    predicted: Floats
    counted: Floats


@dataclass(frozen=True, slots=True)
class PoolOfSource:
    """Routing among the rows of a source that states costs, at the costs that were paid.

    Every learner believes that an answer costs what the row's answers in the fitted part cost on average.

    Args:
        rows, prompts: Size of the pool.
        best_single: Mean score of its best row.
        oracle: Mean score of a choice that knows every grade.
        gaps: Learner -> gap closed.
        gap_intervals: Learner -> its 90% interval.
        leads: Learner -> 90% interval of how much more llmdeal closes.
    """

    rows: int
    prompts: int
    best_single: float
    oracle: float
    gaps: Mapping[str, float]
    gap_intervals: Mapping[str, Interval]
    leads: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Miss:
    """A group of cells, with what was stated and what came out.

    Args:
        name: Name of the task or of the row, or the beginning of the prompt.
        cells: Number of cells.
        stated, graded: Mean stated chance and mean grade.
    """

    name: str
    cells: int
    stated: float
    graded: float


@dataclass(frozen=True, slots=True)
class SourceResult:
    """All results on one source.

    Args:
        source: Name of the source.
        prompts, rows, cells: Prompts that were kept aside, rows that answered some of them, graded cells.
        brier: Learner -> mean squared error of the grade.
        brier_leads: Learner -> 90% interval of by how much its error is above llmdeal's.
        calibration: Learner -> stated chances against grades.
        lengths: Lengths. None: the source counts no tokens.
        pool: Routing. None: the source states no costs, or too few rows answered all prompts.
        tasks: Tasks, those with most cells first.
        missed_rows: Rows that were missed most, compared with the luck of their cells.
        missed_prompts: Prompts that were missed most.
    """

    source: str
    prompts: int
    rows: int
    cells: int
    brier: Mapping[str, float]
    brier_leads: Mapping[str, Interval]
    calibration: Mapping[str, Calibration]
    lengths: Lengths | None
    pool: PoolOfSource | None
    tasks: list[Miss]
    missed_rows: list[Miss]
    missed_prompts: list[Miss]


def predictions_of(aside: WorkAside, *, trees: bool) -> dict[str, Floats]:
    """Return learner -> P(good answer) of the work aside, shape (n, r), llmdeal first.

    Args:
        aside: Work of `keep_aside`.
        trees: Whether boosted trees are fitted, too: a minute more.
    """
    learners: dict[str, Callable[[WorkAside, Booleans, Booleans], Floats]] = {
        OWN_MEANS: _own_means,
        NEIGHBOURS: _neighbours,
    }
    if trees:
        learners[TREES] = _trees
    predicted = {OURS: aside.beliefs.chance}
    for name, learner in learners.items():
        values = np.full(aside.asked.scores.shape, 0.5)
        for source in aside.sources:
            before, now = aside.fitted.sources == source, aside.asked.sources == source
            if before.any():
                values[now] = learner(aside, before, now)
        predicted[name] = values.clip(0, 1)
    return predicted


def judge_sources(
    aside: WorkAside, predicted: Mapping[str, Floats], collection: Path, seed: int, advance: Callable[[float], None]
) -> list[SourceResult]:
    """Judge all learners on every source of a collection.

    Args:
        aside: Work of `keep_aside`.
        predicted: Learner -> P(good answer), as `predictions_of` returns it.
        collection: Folder of the collection; costs and tasks are read from it.
        seed: Seed of the redraws.
        advance: Function to call with 1 after each source.
    """
    results = []
    for source in aside.sources:
        results.append(_judge_source(aside, predicted, collection / source, source, seed))
        advance(1)
    return results


def read_costs(folder: Path, work: GradedWork) -> Floats:
    """Return the cost of each cell of a source, USD, shape (n, r); NaN where it is unknown.

    Args:
        folder: Folder of the source.
        work: Work with its prompts and rows.
    """
    costs = np.full(work.scores.shape, np.nan)
    responses = of_main_agent(pd.read_parquet(folder / "responses.parquet"))
    if "cost_usd" not in responses:
        return costs
    means = responses.groupby(["prompt_id", "model", "effort"])["cost_usd"].mean().dropna().reset_index()
    place_of_prompt = {prompt: place for place, prompt in enumerate(work.prompt_ids)}
    place_of_row: dict[RowName, int] = {row: place for place, row in enumerate(work.rows)}
    for prompt, model, effort, cost in means.itertuples(index=False):
        row, column = place_of_prompt.get(str(prompt)), place_of_row.get((model, effort))
        if row is not None and column is not None:
            costs[row, column] = cost
    return costs


def calibration_of(stated: Floats, graded: Floats) -> Calibration:
    """Return stated chances (k,) against grades (k,)."""
    bins = np.clip((stated * _N_BINS).astype(int), 0, _N_BINS - 1)
    cells = np.bincount(bins, minlength=_N_BINS)
    filled = cells > 0
    means = [np.bincount(bins, values, _N_BINS)[filled] / cells[filled] for values in (stated, graded)]
    return Calibration(means[0], means[1], cells[filled], calibration_error(stated, graded))


def _judge_source(
    aside: WorkAside, predicted: Mapping[str, Floats], folder: Path, source: str, seed: int
) -> SourceResult:
    now = aside.asked.sources == source
    scores = aside.asked.scores[now].astype(np.float64)
    is_graded = np.isfinite(scores)
    here = {name: values[now] for name, values in predicted.items()}
    errors = {name: np.where(is_graded, (values - scores) ** 2, 0.0) for name, values in here.items()}
    return SourceResult(
        source,
        int(now.sum()),
        int(is_graded.any(axis=0).sum()),
        int(is_graded.sum()),
        {name: float(error.sum() / is_graded.sum()) for name, error in errors.items()},
        _brier_leads(errors, is_graded, seed),
        {name: calibration_of(values[is_graded], scores[is_graded]) for name, values in here.items()},
        _lengths(aside, source, seed),
        _pool(aside, here, scores, folder, source, seed),
        _tasks(aside, now, here[OURS], scores, folder),
        _missed_rows(aside, here[OURS], scores),
        _missed_prompts(aside, now, here[OURS], scores),
    )


def _brier_leads(errors: Mapping[str, Floats], is_graded: Booleans, seed: int) -> dict[str, Interval]:
    rng, n = np.random.default_rng(seed), len(is_graded)
    weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(_N_REDRAWS)])
    counts = np.maximum(weights @ is_graded.sum(axis=1), 1)
    redrawn = {name: weights @ error.sum(axis=1) / counts for name, error in errors.items()}
    return {name: Interval.of(values - redrawn[OURS]) for name, values in redrawn.items() if name != OURS}


def _lengths(aside: WorkAside, source: str, seed: int) -> Lengths | None:
    before, now = aside.fitted.sources == source, aside.asked.sources == source
    beliefs = aside.beliefs
    counted, what = aside.asked.tokens[now].astype(np.float64), "billed tokens"
    mean_of, predicted = aside.fitted.tokens[before], beliefs.visible[now] + beliefs.reasoning[now]
    if not np.isfinite(counted).any():
        counted, what = aside.asked.visible[now].astype(np.float64), "visible tokens"
        mean_of, predicted = aside.fitted.visible[before], beliefs.visible[now]
    is_there = np.isfinite(counted)
    if not is_there.any():
        return None
    means = np.broadcast_to(row_means(np.log2(np.maximum(mean_of.astype(np.float64), 1))), counted.shape)[is_there]
    actual, ours = np.maximum(counted[is_there], 1), np.maximum(predicted[is_there], 1)
    difference = np.log2(ours / actual)
    drawn = np.random.default_rng(seed).permutation(len(actual))[:_MOST_POINTS]
    return Lengths(
        what,
        len(actual),
        float(np.median(np.abs(difference))),
        float(np.nanmedian(np.abs(means - np.log2(actual)))),
        float(np.median(difference)),
        ours[drawn],
        actual[drawn],
    )


def _pool(
    aside: WorkAside, here: Mapping[str, Floats], scores: Floats, folder: Path, source: str, seed: int
) -> PoolOfSource | None:
    paid, now = read_costs(folder, aside.asked), aside.asked.sources == source
    costs, usual = paid[now], read_costs(folder, aside.fitted)[aside.fitted.sources == source]
    # A row that costs nothing has no place among budgets that are evenly spaced in their logarithm.
    is_member = (np.isfinite(scores).mean(axis=0) >= _POOL_GRADED) & ((costs > 0).mean(axis=0) >= _POOL_PRICED)
    is_member &= np.isfinite(usual).any(axis=0)
    columns = np.flatnonzero(is_member)
    rows = np.flatnonzero((np.isfinite(scores) & np.isfinite(costs))[:, columns].all(axis=1))
    if len(columns) < _FEWEST_IN_POOL or len(rows) < _FEWEST_PROMPTS:
        return None
    score, cost = scores[np.ix_(rows, columns)], costs[np.ix_(rows, columns)]
    scale = _SCALED_COST / max(float(np.median(cost)), 1e-12)
    believed = np.broadcast_to(np.nanmean(usual[:, columns], axis=0), cost.shape)
    names = tuple("@".join(filter(None, aside.asked.rows[column])) for column in columns)
    # No token costs anything here: what is believed of a cost is a part that is known before the answer.
    pool = Pool(source, names, rows, columns, score, cost * scale, believed * scale, np.zeros(len(columns)), True)
    tokens = np.ones_like(scores, np.float32)
    routers = {name: BaselineBeliefs(values.astype(np.float32), tokens) for name, values in here.items()}
    gaps = {
        name: float(measure_router(pool, pool.part_of(each.quality), pool.part_of(tokens)).gap_closed)
        for name, each in routers.items()
    }
    confidence = redraw(pool, routers, seed)
    return PoolOfSource(
        len(columns),
        len(rows),
        float(single_models(pool)[:, 1].max()),
        float(score.max(axis=1).mean()),
        gaps,
        confidence.gaps,
        confidence.leads,
    )


def _tasks(aside: WorkAside, now: Booleans, stated: Floats, scores: Floats, folder: Path) -> list[Miss]:
    prompts = pd.read_parquet(folder / "prompts.parquet", columns=["prompt_id", "task"])
    task_of = dict(zip(prompts["prompt_id"].astype(str), prompts["task"].astype(str), strict=True))
    tasks = np.array([task_of[aside.asked.prompt_ids[place]] for place in np.flatnonzero(now)])
    groups = [_miss(str(task), stated[tasks == task], scores[tasks == task]) for task in np.unique(tasks)]
    return sorted(groups, key=lambda group: (-group.cells, group.name))[:12]


def _missed_rows(aside: WorkAside, stated: Floats, scores: Floats) -> list[Miss]:
    groups = []
    for column, (model, effort) in enumerate(aside.asked.rows):
        group = _miss(f"{model}@{effort}" if effort else model, stated[:, column], scores[:, column])
        if group.cells >= _FEWEST_CELLS:
            luck = np.nanstd(scores[:, column]) / np.sqrt(group.cells) + 0.02
            groups.append((abs(group.stated - group.graded) / luck, group))
    return [group for _, group in sorted(groups, key=lambda pair: -pair[0])[:5]]


def _missed_prompts(aside: WorkAside, now: Booleans, stated: Floats, scores: Floats) -> list[Miss]:
    groups = []
    for place, whole in enumerate(np.flatnonzero(now)):
        excerpt = " ".join(aside.asked.prompts[whole].split())
        excerpt = excerpt if len(excerpt) <= _EXCERPT else excerpt[:_EXCERPT].rstrip() + " …"
        group = _miss(excerpt, stated[place], scores[place])
        if group.cells >= _FEWEST_IN_POOL:
            groups.append(group)
    return sorted(groups, key=lambda group: -abs(group.stated - group.graded))[:4]


def _miss(name: str, stated: Floats, scores: Floats) -> Miss:
    is_graded = np.isfinite(scores)
    if not is_graded.any():
        return Miss(name, 0, float("nan"), float("nan"))
    return Miss(name, int(is_graded.sum()), float(stated[is_graded].mean()), float(scores[is_graded].mean()))


def _own_means(aside: WorkAside, before: Booleans, now: Booleans) -> Floats:
    means = row_means(aside.fitted.scores[before].astype(np.float64))
    return np.broadcast_to(means, (int(now.sum()), len(means)))


def _neighbours(aside: WorkAside, before: Booleans, now: Booleans) -> Floats:
    """Return the mean over the 50 nearest prompts by cosine, and the row's mean as one neighbour more."""
    scores = aside.fitted.scores[before].astype(np.float64)
    inputs, asked = _unit(aside.fitted_inputs[before]), _unit(aside.asked_inputs[now])
    nearest = np.argsort(-(asked @ inputs.T), axis=1, kind="stable")[:, :_N_NEIGHBOURS]
    is_graded, filled = np.isfinite(scores), np.nan_to_num(scores)
    counts = is_graded[nearest].sum(axis=1)
    return np.asarray((filled[nearest].sum(axis=1) + row_means(scores)) / (counts + 1))


def _trees(aside: WorkAside, before: Booleans, now: Booleans) -> Floats:
    """Return the predictions of one fit for all rows, on the inputs, the row and the row's mean."""
    scores = aside.fitted.scores[before].astype(np.float64)
    inputs, asked = aside.fitted_inputs[before], aside.asked_inputs[now]
    means = row_means(scores)
    prompt, row = np.nonzero(np.isfinite(scores))
    booster = boosted_trees(n_jobs=1)
    booster.fit(np.column_stack([inputs[prompt], means[row], row]), scores[prompt, row])
    graded_rows = np.unique(row)
    values = np.broadcast_to(means, (len(asked), len(means))).copy()
    for column in graded_rows:
        design = np.column_stack([asked, np.full(len(asked), means[column]), np.full(len(asked), column)])
        values[:, column] = booster.predict(design)
    return values


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9), np.float32)
