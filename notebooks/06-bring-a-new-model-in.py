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
# A model that came out this week has no graded answers in any bundle. The router still uses it: at first with a prior
# from its price and family, then with its own answers. How many answers does that take? Set `LOGS` to a folder that
# `llmdeal export` wrote, with prompts (`telemetry_content = "full"`), and `LANE` to the lane of the new model. Without
# them, a small sample is read.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import training
from router.bundle import load_bundle
from router.context import RouteContext
from router.log_odds import logit, sigmoid
from router.onnx_quality_model import OnnxQualityModel
from router.placement import GradedAnswers, PlacementSpace
from training.off_policy.signals import judgement_rules
from training.telemetry.reader import read_logs

ROOT = Path(training.__file__).parents[1]
LOGS = Path(os.environ.get("LOGS", ROOT / "data" / "samples" / "telemetry"))  # your own: "exports/november"
BUNDLE = Path(os.environ.get("BUNDLE", ROOT / "models" / "llmdeal-base-2"))  # the bundle in use
LANE = os.environ.get("LANE")  # None: the new lane with the most judged answers

bundle = load_bundle(BUNDLE)
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
# # What its own answers say
#
# Models mostly agree on which prompts are hard. So a new model is a point in a small space that the trained models span
# (`docs/bars-and-calibration.md`). Its answers come in one by one; the earlier answers predict each next one, which
# then joins them. Right: the mean error of these predictions so far, compared with the prior alone.

# %%
rows = np.flatnonzero(usable & (logs.chosen == lane))
quality_model = OnnxQualityModel(bundle)
predicted = [quality_model.predict(RouteContext.from_prompt(logs.prompts[row])) for row in rows]
quality = np.stack([prediction.quality for prediction in predicted])
tokens = np.stack([prediction.completion_tokens for prediction in predicted])
reward, length = logs.reward[rows].astype(np.float32), logs.answer_tokens[rows].astype(np.float32)
space = PlacementSpace.of(bundle.read_reference())


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
right.set(xlabel="judged answers", ylabel="mean squared error so far", ylim=(0, None))
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
