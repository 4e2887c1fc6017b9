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
# perfect router would gain.
#
# Without further settings this notebook reads the small corpus in `data/samples/graded`, and the outputs below are of
# that corpus. It has 380 questions and six models. The grades of its two local models were measured; those of its four
# simulated models were drawn (`data/samples/README.md`). To look at your own corpus, set `CORPUS` to a folder with
# `prompts.parquet`, `responses.parquet` and `prices.csv` (formats: `docs/training.md`) and run all cells.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

import training
from training.corpus.graded_corpus import read_corpus, read_prices
from training.corpus.pools import make_pools
from training.corpus.routing_measures import oracle_curve, random_mix_curve, single_models

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
