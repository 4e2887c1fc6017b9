# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Bring a new model in
#
# A model that came out this week has no graded answers in any bundle. The router still uses it:
#
# 1. at first by its price, family and date,
# 2. then by its published scores,
# 3. then by the answers that `llmdeal calibrate` graded,
# 4. then by judged answers from traffic.
#
# Each step says more about it, and the belief narrows. This notebook shows each of them on a model whose truth is
# there to compare with.
#
# Without further settings it reads small samples (`data/samples/README.md`). The outputs of steps 1 and 2 are of the
# whole collection that the shipped bundle was fitted to, those of steps 3 and 4 are of the samples.
#
# - `COLLECTION`: folder of a collection; `NEW_MODEL`: one of its graded models, to hide.
# - `LOGS`: folder that `llmdeal export` wrote, with prompts (`telemetry_content = "full"`); `LANE`: lane of the new
#   model.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import training
from router.bundle import load_bundle
from router.context import RouteContext
from router.lane_rows import TRANSFER
from router.log_odds import logit, sigmoid
from router.onnx_quality_model import OnnxQualityModel
from router.placement import GradedAnswers, PlacementSpace
from serve.jobs.local_models.model_files import LOCAL_MODELS
from training.abilities.abilities import AbilitySettings, fit_abilities
from training.abilities.graded_answers import read_graded
from training.abilities.graded_columns import read_column
from training.abilities.model_facts import read_name
from training.abilities.published import read_benchmarks
from training.corpus.graded_corpus import read_corpus
from training.off_policy.signals import judgement_rules
from training.telemetry.reader import read_logs

ROOT = Path(training.__file__).parents[1]
SAMPLES = ROOT / "data" / "samples"
COLLECTION = Path(os.environ.get("COLLECTION", SAMPLES / "collection"))  # your own: "collections/november"
NEW_MODEL = os.environ.get("NEW_MODEL")  # None: one that most sources have graded
LOGS = Path(os.environ.get("LOGS", SAMPLES / "telemetry"))  # your own: "exports/november"
BUNDLE = Path(os.environ.get("BUNDLE", ROOT / "models" / "llmdeal-base-2"))  # the bundle in use
LANE = os.environ.get("LANE")  # None: the new lane with the most judged answers
WIDTH_80 = 1.2816  # standard deviations on each side of an 80% interval

# %% [markdown]
# # Before any answer: price and family, then published scores
#
# A graded model is hidden: all its grades, those of its other spellings, and its published scores. The factor model
# then knows its name, price and date alone. After that, its published scores come back.

# %%
graded = read_graded(COLLECTION)
benchmarks = read_benchmarks(COLLECTION / "benchmarks.csv")
n_sources = graded.groupby("model")["source"].nunique()
n_scores = benchmarks.groupby("model").size()
evidence = pd.DataFrame({"sources": n_sources, "scores": n_scores}).dropna().sort_values(["sources", "scores"])
model = NEW_MODEL or evidence.index[-1]
root = read_name(model).root
is_same = {name: read_name(name).root == root for name in {*graded["model"], *benchmarks["model"]}}
others = graded[~graded["model"].map(is_same)]
settings = AbilitySettings(n_sweeps=600)
by_facts = fit_abilities(others, benchmarks[~benchmarks["model"].map(is_same)], wanted=[(model, "")], settings=settings)
by_scores = fit_abilities(others, benchmarks, wanted=[(model, "")], settings=settings)
print(f"{model}: {n_scores.get(model, 0)} published scores, graded in {n_sources[model]} sources")
(
    benchmarks[benchmarks["model"] == model]
    .assign(score=lambda rows: sigmoid(rows["log_odds"].to_numpy()).round(3))
    .set_index("benchmark")[["domain", "score"]]
    .sort_values("score", ascending=False)
    .head(12)
)

# %% [markdown]
# What is believed of its mean grade in each source, with 80% intervals, and what it really was. The black interval is
# the sampling error of its grades. A model that answered only the harder prompts of a source is believed to have lower
# grades there; how hard they are was learned from the other models.

# %%
own = graded[graded["model"] == model].groupby("column")["score"].agg(["mean", "std", "size"])
columns = [name for name in by_scores.columns if name in own.index]
beliefs = {
    "price, family and date": (by_facts.of(model), "#E69F00"),
    "published scores": (by_scores.of(model), "#0072B2"),
}
place = [list(by_scores.columns).index(name) for name in columns]
answered = graded[graded["model"] == model].groupby("column")["prompt_id"].unique()
ease = np.array([read_column(others[others["column"] == name]).ease_of(answered[name]) for name in columns])


def expected(belief):
    """Return the mean grade that is believed in each source, and the ends of its 80% interval, on these prompts."""
    middle = np.array([belief.easier_by(shift).chances()[at] for shift, at in zip(ease, place, strict=True)])
    return middle, sigmoid(belief.means[place] + ease + np.outer((-WIDTH_80, WIDTH_80), belief.stds[place]))


figure, panel = plt.subplots(figsize=(7.5, 1.2 + 0.85 * len(columns)), layout="constrained")
for number, (title, (belief, color)) in enumerate(beliefs.items()):
    middle, ends = expected(belief)
    heights = np.arange(len(columns)) + 0.22 * (1 - number)
    panel.hlines(heights, *ends, color=color, linewidth=5, alpha=0.35)
    panel.plot(middle, heights, "o", color=color, label=f"believed by {title}")
own = own.loc[columns]
error = WIDTH_80 * own["std"].fillna(0) / np.sqrt(own["size"])
heights = np.arange(len(columns)) - 0.22
panel.hlines(
    heights, (own["mean"] - error).clip(0), (own["mean"] + error).clip(upper=1), color="#222222", linewidth=1.5
)
panel.plot(own["mean"], heights, "D", color="#222222", markersize=4, label="its own grades, hidden from both")
panel.set(
    xlabel="mean grade, 0..1",
    ylabel="source",
    xlim=(0, 1.01),
    ylim=(-0.5, len(columns) - 0.5),
    title=f"{model}, unseen",
)
panel.set_yticks(range(len(columns)), [f"{name} ({own['size'][name]} answers)" for name in columns])
figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=3)
panel.grid(axis="x", alpha=0.25)
panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
pd.DataFrame(
    {
        "answers": own["size"],
        "own mean grade": own["mean"],
        **{f"by {title}": expected(belief)[0] for title, (belief, _) in beliefs.items()},
        **{f"std by {title}, log odds": belief.stds[place] for title, (belief, _) in beliefs.items()},
    }
).round(3)

# %% [markdown]
# # How `llmdeal calibrate` narrows it
#
# The command asks the most informative questions of `data/calibration` and grades the answers. Here a small local model
# is the new one: its answers to all questions of the bank were measured (`data/samples/graded`), and the bundle does
# not know it. Its prior is the one that its lane states. The questions are asked in the order that the command would
# choose. The belief is about the questions that are not asked.

# %%
bundle = load_bundle(BUNDLE)
quality_model = OnnxQualityModel(bundle)
space = PlacementSpace.of(bundle.read_reference())
bank = read_corpus(SAMPLES / "graded")
bank_predictions = [quality_model.predict(context) for context in bank.contexts()]
bank_quality = np.stack([prediction.quality for prediction in bank_predictions])
bank_tokens = np.stack([prediction.completion_tokens for prediction in bank_predictions])
kinds = np.unique(bank.tasks, return_inverse=True)[1]
asked = space.choose(bank_quality, 50, kinds)
left = np.setdiff1d(np.arange(len(bank.prompts)), asked)
N_ASKED = np.arange(0, 51, 5)


def calibrated(local):
    """Return mean P(good answer) on the questions left, its std in log odds, and the shift, after each number asked."""
    column = bank.trained_names.index(local.vendor_model)
    grades, lengths = bank.scores[:, column], bank.completion_tokens[:, column]
    rows = []
    for count in N_ASKED:
        first = asked[:count]
        answers = GradedAnswers(bank_quality[first], bank_tokens[first], grades[first], lengths[first])
        placed = space.place(answers, local.ability, local.ability_std)
        log_odds = logit(bank_quality[left]) @ placed.weights + placed.offset
        chance = sigmoid(log_odds / np.sqrt(1 + np.pi / 8 * placed.logit_std**2))
        rows.append((chance.mean(), placed.logit_std, placed.shift))
    return np.array(rows), grades[left].mean()


figure, panels = plt.subplots(1, len(LOCAL_MODELS), figsize=(5.2 * len(LOCAL_MODELS), 3.8), layout="constrained")
narrowed = {}
for panel, local in zip(panels, LOCAL_MODELS, strict=True):
    believed, truth = calibrated(local)
    narrowed[local.vendor_model] = believed
    odds = logit(believed[:, 0])
    low, high = sigmoid(odds - believed[:, 1]), sigmoid(odds + believed[:, 1])
    panel.fill_between(N_ASKED, low, high, color="#0072B2", alpha=0.15, linewidth=0)
    panel.plot(N_ASKED, believed[:, 0], "o-", color="#0072B2", ms=3, label="believed, with one standard deviation")
    panel.axhline(truth, color="#777777", linestyle=":", label="mean grade of the questions left")
    panel.set(title=local.vendor_model, xlabel="questions asked", ylabel="P(good answer), mean", ylim=(0, 0.4))
    panel.spines[["top", "right"]].set_visible(False)
panels[0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# The questions are work of the reference models' kind. On other work the model's catalogue row counts. There 0.7 of
# what the graded answers moved its log odds by is added (`docs/training.md`):

# %%
pd.concat(
    {
        name: pd.DataFrame(
            {
                "questions asked": N_ASKED,
                "P(good), questions left": rows[:, 0],
                "std, log odds": rows[:, 1],
                "moved by, log odds": rows[:, 2],
                "moved on other work, log odds": TRANSFER * rows[:, 2],
            }
        ).set_index("questions asked")
        for name, rows in narrowed.items()
    },
    names=["model"],
).loc[(slice(None), [0, 10, 20, 50]), :].round(3)

# %% [markdown]
# # From traffic
#
# Judged answers of a lane, as `llmdeal export` writes them:

# %%
logs = read_logs(LOGS, rules=judgement_rules())  # judgements of people and judges, not automatic checks
has_text = np.array([text is not None for text in logs.prompts])
usable = np.isfinite(logs.reward) & has_text
judged_of = np.bincount(logs.chosen[usable], minlength=len(logs.lane_ids))
is_new = np.array([name not in bundle.trained_names for name in logs.trained_names])
candidates = is_new if (judged_of[is_new] > 0).any() else np.ones(len(is_new), bool)
lane = logs.lane_ids.index(LANE) if LANE else int(np.where(candidates, judged_of, -1).argmax())
pd.DataFrame(
    {"new": is_new, "judged answers": judged_of, "drawn": np.bincount(logs.chosen, minlength=len(logs.lane_ids))},
    index=list(logs.lane_ids),
)

# %% [markdown]
# ## What its own answers say
#
# Models mostly agree on which prompts are hard. So a new model is a point in a small space that the trained models span
# (`docs/bars-and-calibration.md`). Its answers come in one by one; the earlier answers predict each next one, which
# then joins them. Right: the mean error of these predictions so far, compared with the prior alone.

# %%
rows = np.flatnonzero(usable & (logs.chosen == lane))
predicted = [quality_model.predict(RouteContext.from_prompt(logs.prompts[row])) for row in rows]
quality = np.stack([prediction.quality for prediction in predicted])
tokens = np.stack([prediction.completion_tokens for prediction in predicted])
reward, length = logs.reward[rows].astype(np.float32), logs.answer_tokens[rows].astype(np.float32)


def forecast(n_answers, asked):
    """Return P(good answer) on the asked prompts and its standard deviation in log odds, after the first answers."""
    seen = slice(0, n_answers)
    placement = space.place(GradedAnswers(quality[seen], tokens[seen], reward[seen], length[seen]))
    steepness = 1 / np.sqrt(1 + np.pi / 8 * placement.logit_std**2)
    return sigmoid((logit(quality[asked]) @ placement.weights + placement.offset) * steepness), placement.logit_std


counts = np.arange(len(rows) + 1)
everywhere = np.arange(len(rows))
mean = np.array([forecast(count, everywhere)[0].mean() for count in counts])
std = np.array([forecast(count, everywhere)[1] for count in counts])
ahead = np.array([forecast(place, np.array([place]))[0][0] for place in everywhere])
by_prior = forecast(0, everywhere)[0]
error, prior_error = (np.cumsum((belief - reward) ** 2) / (everywhere + 1) for belief in (ahead, by_prior))

figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")
odds = np.log(mean / (1 - mean))
left.fill_between(counts, sigmoid(odds - std), sigmoid(odds + std), color="#0072B2", alpha=0.15, linewidth=0)
left.plot(counts, mean, color="#0072B2", label="believed, with one standard deviation")
left.axhline(reward.mean(), color="#777777", linestyle=":", label="mean reward of all its answers")
left.set(
    xlabel="judged answers", ylabel="P(good answer), mean over these prompts", ylim=(0, 1), title=logs.lane_ids[lane]
)
left.legend(frameon=False, fontsize=8)
right.plot(everywhere + 1, error, color="#0072B2", label="predicted by the earlier answers")
right.plot(everywhere + 1, prior_error, color="#777777", linestyle=":", label="predicted by the prior alone")
right.set(
    xlabel="judged answers", ylabel="mean squared error so far", ylim=(0, None), title="error of the next prediction"
)
right.legend(frameon=False, fontsize=8)
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# These are answers to requests that the router sent to this lane, and feedback covers only what people noticed. The
# belief after some numbers of answers:

# %%
pd.DataFrame(
    [(count, mean[count], std[count]) for count in sorted({0, 5, 10, 20, 50, len(rows)}) if count <= len(rows)],
    columns=["judged answers", "believed quality", "standard deviation of its log odds"],
).round(3)

# %% [markdown]
# # Three ways to learn about a new model
#
# - **At once**: `llmdeal calibrate vendor/new-model` asks it the fifty most informative questions and grades the
#   answers. The gateway places the model at its next start. This costs a few cents.
# - **From traffic**: give [exploration](../docs/exploration.md) a share. It draws uncertain lanes more often, and
#   [watching](../docs/watching.md) moves the belief within hours.
# - **Permanently**: [`llmdeal retrain`](../docs/retraining.md) gives a model with fifteen judged answers its own head
#   in the next bundle.
#
# Which questions say most about an unknown model? The most informative of the prompts above, by the rule that
# `calibrate` uses:

# %%
telling = space.choose(quality, 5)
pd.DataFrame({"prompt": [" ".join(str(logs.prompts[rows[place]]).split())[:110] for place in telling]})
