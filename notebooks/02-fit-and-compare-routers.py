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
# on prompts that the fit did not see; a split never divides near-duplicates. The first part fits the *reference models*
# of a corpus, the second part the *catalogue models* of a collection: models that are on sale today.
#
# Without further settings this notebook reads small samples (`data/samples/README.md`).
#
# - **Corpus:** `data/samples/graded`. The outputs of the first part are of it. It has 380 questions and six models, so
#   the differences between routers are within the noise. The grades of four models were drawn, each independently, so
#   much of the regret against an oracle is luck. For figures that can separate routers, set `CORPUS` to a large corpus.
# - **Collection:** `data/samples/collection`. The outputs of the second part are of the whole collection that the
#   shipped bundle was fitted to. To look at your own, set `COLLECTION` to its folder.
#
# Formats: `docs/training.md`. `docs/quality.md` has the figures of the shipped bundle's corpus.

# %%
import os
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, NullFormatter

import training
from training.abilities.abilities import AbilitySettings
from training.corpus.graded_corpus import read_corpus, read_prices
from training.corpus.pools import make_pools
from training.demand.catalogue import read_catalogue_data
from training.demand.kept_aside import keep_aside
from training.evaluation.baselines import BASELINES, QUICK_BASELINES, cross_fit_baseline
from training.evaluation.bootstrap import redraw
from training.evaluation.breakdowns import by_difficulty, reliability
from training.evaluation.bundle_evaluation import evaluate_beliefs
from training.evaluation.collection import judge_sources, predictions_of
from training.evaluation.report.collection_plots import draw_calibration, draw_lengths
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
table = distil_table(SETTINGS.n_dimensions)
encoded = encode_prompts(corpus.contexts(), table)

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
    panel.set(title=pool.source, xlabel="stated P(good answer)", ylabel="mean grade, 0..1", xlim=(0, 1), ylim=(0, 1))
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

# %% [markdown]
# # Models of today
#
# The recipe is fitted to 70% of a collection's prompts and asked about the others. It reads the text of a prompt alone.
# It is compared with learners that are fitted to each source by itself and are *told* which source a prompt is from:
# each row's own mean, its 50 nearest neighbours, and LightGBM. A *row* is a model at an effort of reasoning.
#
# A source with few prompts says little. Here, 90% of the redraws of the prompts lie in an interval.

# %%
SAMPLE_COLLECTION = SAMPLE.parent / "collection"
COLLECTION = Path(os.environ.get("COLLECTION", SAMPLE_COLLECTION))  # your own: "collections/november"
DEMANDS = SAMPLE.parents[1] / "demands"
data = read_catalogue_data(COLLECTION, [], DEMANDS)  # only data with a free licence
aside = keep_aside(data, table, 0, AbilitySettings(n_sweeps=300 if COLLECTION == SAMPLE_COLLECTION else 1500))
predicted = predictions_of(aside, trees=True)
results = judge_sources(aside, predicted, COLLECTION, 0, lambda share: None)
pd.DataFrame(
    [(each.source, each.prompts, each.rows, each.cells, *each.brier.values()) for each in results],
    columns=["source", "prompts aside", "rows", "answers", *(f"Brier: {name}" for name in predicted)],
).set_index("source").round(3)

# %% [markdown]
# By how much each learner's Brier score is above llmdeal's. If the whole interval is above 0, llmdeal is better.

# %%
pd.DataFrame(
    {
        each.source: {name: f"{lead.low:+.3f} to {lead.high:+.3f}" for name, lead in each.brier_leads.items()}
        for each in results
    }
).T.rename_axis("source")

# %% [markdown]
# ## Choices
#
# Gap closed at the costs that were paid, where a source states costs: 0 is knowing which single row to buy, 1 an oracle
# that knows every grade. Every learner takes a row's mean cost in the fitted part for the cost of an answer. In
# brackets: 90% of the redraws.

# %%
pd.DataFrame(
    {
        each.source: {"rows": each.pool.rows, "prompts": each.pool.prompts}
        | {
            name: f"{gap:.2f} ({each.pool.gap_intervals[name].low:.2f} to {each.pool.gap_intervals[name].high:.2f})"
            for name, gap in each.pool.gaps.items()
        }
        for each in results
        if each.pool is not None
    }
).T.rename_axis("source")

# %% [markdown]
# ## Do the probabilities match the grades
#
# Each dot is a tenth of the stated probabilities; its number is the count of answers. On the dotted line both agree.


# %%
def draw_each(draw, shown) -> None:
    """Draw a panel for each result, four in a row."""
    n_across = min(len(shown), 4)
    n_down = -(-len(shown) // n_across)
    _, panels = plt.subplots(
        n_down, n_across, figsize=(3.4 * n_across, 3.6 * n_down), squeeze=False, layout="constrained"
    )
    for panel, result in zip(panels.ravel(), shown, strict=False):
        draw(panel, result)
    for panel in panels.ravel()[len(shown) :]:
        panel.set_axis_off()
    plt.show()


draw_each(draw_calibration, results)

# %% [markdown]
# The calibration errors of all learners. A learner that always states the mean is calibrated too, so read this with the
# Brier scores.

# %%
pd.DataFrame({each.source: {name: bins.error for name, bins in each.calibration.items()} for each in results}).T.round(
    3
).rename_axis("source")

# %% [markdown]
# ## Lengths
#
# Predicted medians against counted tokens, reasoning included where the provider bills it. In the grey band a
# prediction is within a factor of two, one octave.

# %%
draw_each(draw_lengths, [each for each in results if each.lengths is not None])

# %%
pd.DataFrame(
    [
        (each.source, each.lengths.what, each.lengths.n, each.lengths.off, each.lengths.off_by_means, each.lengths.bias)
        for each in results
        if each.lengths is not None
    ],
    columns=["source", "counted", "answers", "off, octaves", "told the mean, octaves", "bias, octaves"],
).set_index("source").round(2)

# %% [markdown]
# ## Where it misses
#
# The tasks and rows whose mean grade is furthest from the mean of what was stated, compared with their number of
# answers.

# %%
groups = pd.DataFrame(
    [
        (each.source, kind, miss.name, miss.cells, miss.stated, miss.graded)
        for each in results
        for kind, misses in (("task", each.tasks), ("row", each.missed_rows))
        for miss in misses
        if miss.cells >= 15
    ],
    columns=["source", "kind", "name", "answers", "stated", "graded"],
)
weight = (groups["stated"] - groups["graded"]).abs() * np.sqrt(groups["answers"])
groups.loc[weight.sort_values(ascending=False).index[:12]].round(2).reset_index(drop=True)
