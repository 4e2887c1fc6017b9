# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The corpus, and where routing can win
#
# Graded answers of many models to the same prompts: what is in them, how far apart the models are, and how much a
# perfect router would gain. The first part is about a *corpus*: one matrix of prompts and models. The second part is
# about a *collection* of models that are on sale today: a folder for each graded source, and published scores.
#
# Without further settings this notebook reads small samples (`data/samples/README.md`).
#
# - **Corpus:** `data/samples/graded`, 380 questions and six models. The grades of its two local models were measured;
#   those of its four simulated models were drawn. The outputs of the first part are of it. To look at your own, set
#   `CORPUS` to a folder with `prompts.parquet`, `responses.parquet` and `prices.csv`.
# - **Collection:** `data/samples/collection`, a part of seven sources. The outputs of the second part are of the whole
#   collection that the shipped bundle was fitted to. To look at your own, set `COLLECTION` to its folder.
#
# Formats: `docs/training.md`.

# %%
import os
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

import training
from training.abilities.licences import SOURCE_LICENCES
from training.abilities.published import read_benchmarks
from training.corpus.graded_corpus import read_corpus, read_prices
from training.corpus.pools import make_pools
from training.corpus.routing_measures import Pool, oracle_curve, random_mix_curve, single_models
from training.demand.graded_work import read_work
from training.evaluation.collection import read_costs

SAMPLE = Path(training.__file__).parents[1] / "data" / "samples" / "graded"
CORPUS = Path(os.environ.get("CORPUS", SAMPLE))  # your own: "corpora/november"
corpus = read_corpus(CORPUS)
pools = make_pools(corpus, read_prices(CORPUS / "prices.csv", corpus.trained_names))

# %% [markdown]
# ## What is in it

# %%
is_graded = ~np.isnan(corpus.scores)
rows = []
for source in np.unique(corpus.sources):
    here = corpus.sources == source
    lengths = [len(prompt) for prompt, mine in zip(corpus.prompts, here, strict=True) if mine]
    rows.append(
        {
            "source": source,
            "prompts": int(here.sum()),
            "tasks": len(np.unique(corpus.tasks[here])),
            "models": int(is_graded[here].any(axis=0).sum()),
            "graded answers": int(is_graded[here].sum()),
            "mean score": np.nanmean(corpus.scores[here]).round(3),
            "median characters": int(np.median(lengths)),
        }
    )
pd.DataFrame(rows).set_index("source")

# %% [markdown]
# A *source* is a set of prompts that the same models answered. Large corpora have several. There each model is graded
# in a few sources, and the matrix of prompts and models is mostly empty. A *pool* is every model that answered at least
# 93% of a source's prompts; routing is measured within pools.

# %% [markdown]
# ## Which model, at what price
#
# Each dot is a model: what it would cost and score if it answered everything. A more expensive model is not always
# better. The dashed line is the best random choice between two models, which needs no router at all. The dotted line is
# an oracle: it knows every grade and takes the cheapest model that answers well.

# %%
figure, panels = plt.subplots(1, len(pools), figsize=(5 * len(pools), 4), squeeze=False, layout="constrained")
for panel, pool in zip(panels[0], pools, strict=True):
    singles = single_models(pool)
    for curve, style in (
        (oracle_curve(pool), {"color": "#999999", "ls": ":"}),
        (random_mix_curve(pool), {"color": "#56B4E9", "ls": "--"}),
    ):
        order = np.argsort(curve[:, 0])
        panel.plot(curve[order, 0] * 1_000, curve[order, 1], **style)
    panel.scatter(singles[:, 0] * 1_000, singles[:, 1], s=22, color="#0072B2", zorder=3)
    panel.set(xscale="log", title=pool.source, xlabel="USD for 1,000 prompts", ylabel="mean score")
    for place in (np.argmax(singles[:, 1]), np.argmin(singles[:, 0])):
        is_left = singles[place, 0] < np.median(singles[:, 0])
        panel.annotate(
            pool.trained_names[place],
            singles[place] * (1_000, 1),
            xytext=(6 if is_left else -6, -11 if is_left else 6),
            textcoords="offset points",
            fontsize=8,
            ha="left" if is_left else "right",
        )
    panel.xaxis.set_major_locator(LogLocator(10, (1, 3)))
    panel.xaxis.set_major_formatter("${x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
rows = []
for pool in pools:
    singles, oracle = single_models(pool), oracle_curve(pool)
    best = singles[np.lexsort((singles[:, 0], -singles[:, 1]))[0]]
    as_good = oracle[oracle[:, 1] >= best[1]]
    rows.append(
        {
            "pool": pool.source,
            "models": len(pool.trained_names),
            "best single model": pool.trained_names[int(np.argmax(singles[:, 1]))],
            "its score": best[1].round(3),
            "oracle's score": oracle[:, 1].max().round(3),
            "cost saved by an oracle as good": f"{1 - as_good[:, 0].min() / best[0]:.0%}",
        }
    )
pd.DataFrame(rows).set_index("pool")

# %% [markdown]
# ## How hard are the prompts
#
# The share of a pool's models that answer a prompt well. If all models or none solve a prompt, routing is about cost
# alone: take the cheapest. On the prompts in between, the choice decides the score.

# %%
figure, panels = plt.subplots(1, len(pools), figsize=(4.2 * len(pools), 3), squeeze=False, layout="constrained")
for panel, pool in zip(panels[0], pools, strict=True):
    solved = pool.score.mean(axis=1)
    panel.hist(solved, bins=min(len(pool.trained_names) + 1, 20), color="#0072B2")
    panel.set(
        title=f"{pool.source}: all {np.mean(solved >= 0.999):.0%}, none {np.mean(solved <= 0.001):.0%}",
        xlabel="share of models that solve it",
        ylabel="prompts",
    )
    panel.spines[["top", "right"]].set_visible(False)
plt.show()


# %% [markdown]
# ## Do models differ by more than how good they are?
#
# Suppose every model had one strength and every prompt one difficulty. Then the best model for a price would be the
# best for all prompts of that difficulty, and there would be nothing else to learn. The picture shows what is left
# without these two effects: each model's mean score in each task, minus what the means of the task and of the model
# explain. In pale cells only difficulty matters; in strong cells the kind of prompt matters.


# %%
def beyond_means(pool) -> pd.DataFrame:
    """Return task x model: mean score less the task's and the model's effects."""
    table = pd.DataFrame(pool.score, columns=list(pool.trained_names)).groupby(corpus.tasks[pool.rows]).mean()
    return table.sub(table.mean(axis=1), axis=0) - table.mean(axis=0) + table.to_numpy().mean()


figure, panels = plt.subplots(1, len(pools), figsize=(6 * len(pools), 5), squeeze=False, layout="constrained")
for panel, pool in zip(panels[0], pools, strict=True):
    left = beyond_means(pool)
    picture = panel.imshow(left, cmap="RdBu", vmin=-0.3, vmax=0.3, aspect="auto")
    panel.set(
        title=f"{pool.source}: deviation {left.to_numpy().std():.3f}", yticks=range(len(left)), yticklabels=left.index
    )
    panel.set_xticks(range(left.shape[1]), left.columns, rotation=90, fontsize=6)
    panel.tick_params(axis="y", labelsize=7)
figure.colorbar(picture, ax=panels[0], shrink=0.6, label="score beyond the means")
plt.show()

# %% [markdown]
# ## What length does to cost
#
# Two models with the same price per token may differ by a factor in price per answer. Within one model, hard prompts
# often get long answers. So the length must be predicted for each prompt, or the cost is not known. Sources without
# lengths are left out.

# %%
rows = []
for pool in pools:
    if not pool.has_tokens:
        continue
    tokens = corpus.completion_tokens[np.ix_(pool.rows, pool.columns)]
    hard = pool.score.mean(axis=1) < np.median(pool.score.mean(axis=1))
    for place, name in enumerate(pool.trained_names):
        mine = tokens[:, place]
        rows.append(
            (
                pool.source,
                name,
                np.nanmedian(mine),
                np.nanpercentile(mine, 90),
                np.nanmean(mine[hard]) / max(np.nanmean(mine[~hard]), 1),
            )
        )
lengths = (
    pd.DataFrame(rows, columns=["pool", "model", "median tokens", "90% below", "hard half / easy half"])
    .set_index(["pool", "model"])
    .round(2)
)
lengths.groupby("pool").head(8)

# %% [markdown]
# # Models of today
#
# A collection has a folder for each graded source. Not every source has every model, and sources differ in what a
# score means: tests that pass, a strict matcher, a judge. So everything below is for each source by itself. A *row* is
# a model at an effort of reasoning; without an effort it is the provider's default.

# %%
COLLECTION = Path(os.environ.get("COLLECTION", SAMPLE.parent / "collection"))  # your own: "collections/november"
work = read_work(COLLECTION, [])  # only sources with a free licence
row_names = np.array([f"{model}@{effort}" if effort else model for model, effort in work.rows])
sources = [str(source) for source in np.unique(work.sources)]
rows = []
for source in sources:
    here = work.sources == source
    graded = np.isfinite(work.scores[here])
    costs = read_costs(COLLECTION / source, work)[here]
    counted = [np.isfinite(lengths[here]).any() for lengths in (work.tokens, work.reasoning, work.visible)]
    kinds = [name for name, is_there in zip(("billed", "reasoning", "visible"), counted, strict=True) if is_there]
    rows.append(
        {
            "source": source,
            "licence": SOURCE_LICENCES.get(source, "not listed"),
            "prompts": int(here.sum()),
            "rows": int(graded.any(axis=0).sum()),
            "models": len({work.rows[place][0] for place in np.flatnonzero(graded.any(axis=0))}),
            "graded answers": int(graded.sum()),
            "mean score": round(float(np.nanmean(work.scores[here])), 3),
            "tokens": ", ".join(kinds) or "none",
            "answers with a cost": f"{np.isfinite(costs).sum() / graded.sum():.0%}",
        }
    )
pd.DataFrame(rows).set_index("source")

# %%
benchmarks = read_benchmarks(COLLECTION / "benchmarks.csv")
graded_models = {model for model, _ in work.rows}
published_models = set(benchmarks["model"])
pd.Series(
    {
        "models with graded answers": len(graded_models),
        "models with published scores": len(published_models),
        "of these, models that no source has graded": len(published_models - graded_models),
        "published scores": len(benchmarks),
        "benchmarks": benchmarks["benchmark"].nunique(),
    },
    name="number",
).to_frame()

# %% [markdown]
# ## Scores against costs
#
# Each dot is a row: what its answers cost and scored on average. Sources without costs are left out. The dashed line is
# the best random choice between two rows. The dotted line is an oracle: it knows every grade and cost. Rows that
# answered less than 93% of a source's prompts, or whose costs are not known, are left out; so are prompts that not
# every such row answered.


# %%
def pool_of(source: str) -> Pool | None:
    """Return the rows of a source that answered nearly all its prompts, at the costs that were paid."""
    here = np.flatnonzero(work.sources == source)
    scores, costs = work.scores[here].astype(float), read_costs(COLLECTION / source, work)[here]
    is_member = (np.isfinite(scores).mean(axis=0) >= 0.93) & ((costs > 0).mean(axis=0) >= 0.9)
    columns = np.flatnonzero(is_member)
    full = np.flatnonzero((np.isfinite(scores) & np.isfinite(costs))[:, columns].all(axis=1))
    if len(columns) < 3 or len(full) < 10:
        return None
    score, cost = scores[np.ix_(full, columns)], costs[np.ix_(full, columns)]
    return Pool(source, tuple(row_names[columns]), here[full], columns, score, cost, cost, np.zeros(len(columns)), True)


def with_small_costs(pool: Pool) -> Pool:
    """Return the pool with costs scaled to a median of $0.001: the measures' trades are made for such costs."""
    scale = 1e-3 / np.median(pool.cost)
    return replace(pool, cost=pool.cost * scale, prompt_cost=pool.prompt_cost * scale)


work_pools = [pool for source in sources if (pool := pool_of(source)) is not None]
n_panels = max(len(work_pools), 1)
figure, panels = plt.subplots(1, n_panels, figsize=(6 * n_panels, 4.6), squeeze=False, layout="constrained")
for panel, pool in zip(panels[0], work_pools, strict=False):
    singles, scaled = single_models(pool), with_small_costs(pool)
    for curve, style in (
        (oracle_curve(scaled), {"color": "#999999", "ls": ":", "label": "oracle"}),
        (random_mix_curve(scaled), {"color": "#56B4E9", "ls": "--", "label": "random mix of two"}),
    ):
        order = np.argsort(curve[:, 0])
        panel.plot(curve[order, 0] * 1_000 * np.median(pool.cost) / 1e-3, curve[order, 1], **style)
    panel.scatter(singles[:, 0] * 1_000, singles[:, 1], s=22, color="#0072B2", zorder=3, label="rows")
    panel.set(
        xscale="log",
        title=f"{pool.source}: {len(pool.rows)} prompts, {len(pool.trained_names)} rows",
        xlabel="USD for 1,000 prompts (log)",
        ylabel="mean score, 0..1",
    )
    middle = np.sqrt(singles[:, 0].min() * singles[:, 0].max())
    for place in {int(np.argmax(singles[:, 1])), int(np.argmin(singles[:, 0])), int(np.argmax(singles[:, 0]))}:
        is_left = singles[place, 0] < middle
        panel.annotate(
            pool.trained_names[place].split("/")[-1],
            singles[place] * (1_000, 1),
            xytext=(6 if is_left else -6, 5 if place == np.argmax(singles[:, 1]) else -11),
            textcoords="offset points",
            fontsize=8,
            ha="left" if is_left else "right",
        )
    panel.xaxis.set_major_locator(LogLocator(10, (1, 3)))
    panel.xaxis.set_major_formatter("${x:,g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.spines[["top", "right"]].set_visible(False)
if work_pools:
    panels[0][0].legend(frameon=False, fontsize=8, loc="lower right")
else:
    panels[0][0].set(title="no source states costs", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## What an oracle would gain
#
# For sources with costs: the best row, and an oracle that is as good or better. For all sources: how much the best of
# all rows on each prompt scores above the row that is best on average. An oracle knows the luck of single answers too,
# so the gain of a router is a small part of it. Rows that answered less than 80% of a source's prompts are left out.

# %%
rows = []
priced = {pool.source: pool for pool in work_pools}
for source in sources:
    scores = work.scores[work.sources == source].astype(float)
    columns = np.flatnonzero(np.isfinite(scores).mean(axis=0) >= 0.8)
    if len(columns) < 2:
        continue
    means = np.nanmean(scores[:, columns], axis=0)
    is_asked = np.isfinite(scores[:, columns]).any(axis=1)
    best_of_all = np.nanmax(scores[is_asked][:, columns], axis=1)
    saved = "no costs"
    if source in priced:
        scaled = with_small_costs(priced[source])
        singles, oracle = single_models(scaled), oracle_curve(scaled)
        best_cost, best_score = singles[np.lexsort((singles[:, 0], -singles[:, 1]))[0]]
        saved = f"{1 - oracle[oracle[:, 1] >= best_score, 0].min() / best_cost:.0%}"
    rows.append(
        {
            "source": source,
            "rows": len(columns),
            "best row": row_names[columns][int(np.argmax(means))],
            "its score": means.max().round(3),
            "median row": np.median(means).round(3),
            "oracle": best_of_all.mean().round(3),
            "oracle's gain": (best_of_all.mean() - means.max()).round(3),
            "cost saved by an oracle as good": saved,
        }
    )
pd.DataFrame(rows).set_index("source")

# %% [markdown]
# ## How hard are the prompts
#
# The mean score of a prompt over all rows that answered it. At the ends all rows agree, and routing is about cost
# alone.

# %%
n_across = min(len(sources), 4)
n_down = -(-len(sources) // n_across)
figure, panels = plt.subplots(
    n_down, n_across, figsize=(3.6 * n_across, 2.7 * n_down), squeeze=False, layout="constrained"
)
for panel, source in zip(panels.ravel(), sources, strict=False):
    mean_scores = pd.DataFrame(work.scores[work.sources == source]).mean(axis=1).dropna()
    panel.hist(mean_scores, bins=np.linspace(0, 1, 21), color="#0072B2")
    easy, hard = np.mean(mean_scores > 0.95), np.mean(mean_scores < 0.05)
    panel.set_title(f"{source}: >0.95 {easy:.0%}, <0.05 {hard:.0%}", fontsize=9)
    panel.set(xlabel="mean score over rows", ylabel="prompts", xlim=(0, 1))
    panel.spines[["top", "right"]].set_visible(False)
for panel in panels.ravel()[len(sources) :]:
    panel.set_axis_off()
plt.show()

# %% [markdown]
# ## Where models differ
#
# Each model's percentile among the models of a source, for the thirty models that most sources have graded; the best
# effort of each. If models differed only by how good they are, each line would have one colour. Grey: the source has
# not graded the model.

# %%
models = [model for model, _ in work.rows]
means = pd.DataFrame(
    {
        source: pd.Series(pd.DataFrame(work.scores[work.sources == source]).mean().to_numpy(), index=models)
        .groupby(level=0)
        .max()
        for source in sources
    }
)
percentiles = means.rank(pct=True)
order = percentiles.notna().sum(axis=1) + percentiles.mean(axis=1)  # most sources first, then the best
shown = percentiles.loc[order.sort_values(ascending=False).index[:30]]
shown = shown.loc[shown.mean(axis=1).sort_values(ascending=False).index]
figure, panel = plt.subplots(figsize=(7.5, 7), layout="constrained")
panel.set_facecolor("#dddddd")
picture = panel.imshow(shown, cmap="RdBu", vmin=0, vmax=1, aspect="auto")
panel.set(title="Models by source", xlabel="source", ylabel="model")
panel.set_xticks(range(len(sources)), sources, rotation=30, ha="right")
panel.set_yticks(range(len(shown)), shown.index, fontsize=8)
figure.colorbar(picture, shrink=0.6, label="percentile among the source's models, 1 is best")
plt.show()

# %% [markdown]
# How much the sources agree on which model is better: rank correlation over the models that both have graded, where
# there are at least eight.

# %%
means.corr("spearman", min_periods=8).round(2).dropna(how="all").dropna(how="all", axis=1)
