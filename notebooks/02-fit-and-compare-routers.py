# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fit and compare routers
#
# The recipe of `llmdeal train`, cross-validated and compared with the usual learners on the same embedding: curves,
# confidence intervals, calibration, regret by difficulty, and the value of each group of inputs. Everything is judged
# on prompts that the fit did not see; a split never divides near-duplicates.
#
# Without further settings this notebook reads the small corpus in `data/samples/graded`, and the outputs below are of
# that corpus. It has 380 questions and six models, so the differences between routers are within the noise. The grades
# of four models were drawn, each independently, so much of the regret against an oracle is luck. For figures that can
# separate routers, set `CORPUS` to a large corpus (formats: `docs/training.md`) and run all cells. `docs/quality.md`
# has the figures of the shipped bundle's corpus.

# %%
import os
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

import training
from training.corpus.graded_corpus import read_corpus, read_prices
from training.corpus.pools import make_pools
from training.evaluation.baselines import BASELINES, QUICK_BASELINES, cross_fit_baseline
from training.evaluation.bootstrap import redraw
from training.evaluation.breakdowns import by_difficulty, reliability
from training.evaluation.bundle_evaluation import evaluate_beliefs
from training.network.cross_fit import fit_out_of_fold
from training.network.encoding import encode_prompts
from training.network.input_scaler import InputScaler
from training.network.static_table import distil_table
from training.settings import FitSettings

SAMPLE = Path(training.__file__).parents[1] / "data" / "samples" / "graded"
CORPUS = Path(os.environ.get("CORPUS", SAMPLE))  # your own: "corpora/november"
SETTINGS = FitSettings(n_folds=int(os.environ.get("FOLDS", "5")))
corpus = read_corpus(CORPUS)
pools = make_pools(corpus, read_prices(CORPUS / "prices.csv", corpus.trained_names))
encoded = encode_prompts(corpus.contexts(), distil_table(SETTINGS.n_dimensions))

# %%
ours = fit_out_of_fold(corpus, encoded, pools, SETTINGS, 0, None, lambda share: None)
beliefs = ours.honest_beliefs(corpus)
inputs = InputScaler.fit(encoded).transform(encoded)
baselines = {name: cross_fit_baseline(BASELINES[name], corpus, inputs, ours.fold) for name in QUICK_BASELINES}
judged = evaluate_beliefs(pools, beliefs, baselines)

# %%
MEASURES = ["gap_closed", "save_95", "save_98", "save_100", "auc", "brier", "ece"]


def table_of(pool) -> pd.DataFrame:
    """Return router x measure."""
    return pd.DataFrame(
        {name: {measure: getattr(row, measure) for measure in MEASURES} for name, row in pool.measures.items()}
    ).T


pd.concat({pool.pool.source: table_of(pool) for pool in judged}).round(3)

# %% [markdown]
# ## Curves

# %%
COLORS = {
    "llmdeal": "#0072B2",
    "kNN-100": "#E69F00",
    "clusters-60": "#CC79A7",
    "linear": "#009E73",
    "matrix factorization": "#D55E00",
}
figure, panels = plt.subplots(1, len(judged), figsize=(5 * len(judged), 4), squeeze=False, layout="constrained")
for panel, pool in zip(panels[0], judged, strict=True):
    singles = pool.curves["best single"]
    panel.scatter(singles[:, 0] * 1_000, singles[:, 1], s=14, color="#444444")
    for name, color in COLORS.items():
        curve = pool.curves[name][np.argsort(pool.curves[name][:, 0])]
        panel.plot(
            curve[:, 0] * 1_000,
            np.maximum.accumulate(curve[:, 1]),
            color=color,
            lw=2.4 if name == "llmdeal" else 1,
            label=name,
        )
    panel.set(xscale="log", title=pool.pool.source, xlabel="USD for 1,000 prompts", ylabel="mean score")
    panel.xaxis.set_major_locator(LogLocator(10, (1, 3)))
    panel.xaxis.set_major_formatter("${x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.spines[["top", "right"]].set_visible(False)
panels[0][0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# ## How certain are the figures
#
# Gap closed on prompts that are redrawn with replacement: 90% of the redraws lie in the interval. If the interval of
# the *difference* contains zero, this corpus cannot separate the two routers.

# %%
routers = {"llmdeal": beliefs, **baselines}
rows = []
for pool in judged:
    confidence = redraw(pool.pool, routers, seed=0)
    for name, lead in confidence.leads.items():
        gap, theirs = confidence.gaps["llmdeal"], confidence.gaps[name]
        spans = [f"{span.low:+.3f} to {span.high:+.3f}" for span in (gap, theirs, lead)]
        rows.append((pool.pool.source, name, *spans))
pd.DataFrame(rows, columns=["pool", "against", "llmdeal", "it", "difference, 90%"]).set_index(["pool", "against"])

# %% [markdown]
# ## Do the probabilities match the grades

# %%
figure, panels = plt.subplots(1, len(pools), figsize=(3.6 * len(pools), 3.4), squeeze=False, layout="constrained")
for panel, pool in zip(panels[0], pools, strict=True):
    for name in ("kNN-100", "llmdeal"):
        bins = reliability(pool, routers[name])
        filled = bins.answers > 20
        panel.plot(bins.stated[filled], bins.graded[filled], "o-", color=COLORS[name], label=name, ms=4)
    panel.plot([0, 1], [0, 1], color="#999999", lw=0.8, ls=":")
    panel.set(title=pool.source, xlabel="predicted", ylabel="seen", xlim=(0, 1), ylim=(0, 1))
    panel.spines[["top", "right"]].set_visible(False)
panels[0][0].legend(frameon=False)
plt.show()

# %% [markdown]
# ## Regret by difficulty
#
# The loss against the oracle's choice, by believed difficulty of the prompt. The price of a score point is the one at
# which the router costs half of the best single model.

# %%
figure, panels = plt.subplots(1, len(pools), figsize=(3.6 * len(pools), 3), squeeze=False, layout="constrained")
for panel, pool in zip(panels[0], pools, strict=True):
    lost = by_difficulty(pool, routers, beliefs.difficulty.astype(float)).lost
    for name, color in (("best single", "#777777"), ("kNN-100", COLORS["kNN-100"]), ("llmdeal", COLORS["llmdeal"])):
        panel.plot(range(1, 11), lost[name], "o-", color=color, label=name, ms=3)
    panel.set(
        title=pool.source, xlabel="tenth of difficulty, easiest first", ylabel="regret, score points", ylim=(0, None)
    )
    panel.spines[["top", "right"]].set_visible(False)
panels[0][0].legend(frameon=False, fontsize=8)
plt.show()


# %% [markdown]
# ## The value of each group of inputs


# %%
def gap_without(**blanked) -> dict[str, float]:
    """Return the closed gap of each pool with some inputs set to zero."""
    fitted = fit_out_of_fold(corpus, replace(encoded, **blanked), pools, SETTINGS, 0, None, lambda share: None)
    return {
        pool.pool.source: pool.measures["llmdeal"].gap_closed
        for pool in evaluate_beliefs(pools, fitted.honest_beliefs(corpus))
    }


pd.DataFrame(
    {
        "everything": {pool.pool.source: pool.measures["llmdeal"].gap_closed for pool in judged},
        "without structural marks": gap_without(features=np.zeros_like(encoded.features)),
        "without the embedding": gap_without(embeddings=np.zeros_like(encoded.embeddings)),
    }
).T.round(3)
