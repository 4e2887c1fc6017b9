# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Choose the bar and the value of quality
#
# `best_value` needs to know what a good answer is worth to you (`willingness_to_pay_usd`). `cheapest_above_bar` needs
# to know how good an answer must be (`quality_bar`). Both are easier to choose when you see what they would have done
# with your own requests. Set `LOGS` to a folder that `llmdeal export` wrote and run all cells; without it, a small
# sample is read.

# %%
import os
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import training
from training.off_policy.comparison import ComparisonSettings, compare_policies
from training.off_policy.errors import CannotTellError
from training.off_policy.policy_specs import parse_policy
from training.telemetry.reader import read_logs

SAMPLE = Path(training.__file__).parents[1] / "data" / "samples" / "telemetry"
LOGS = Path(os.environ.get("LOGS", SAMPLE))  # your own: "exports/november"
WORTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # USD for a good answer
BARS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

logs = read_logs(LOGS)
logs = logs.rows(logs.is_eligible.sum(axis=1) >= 2)  # requests with a choice
unstated = np.full(len(logs), np.nan)
# Remove the callers' own settings, because they would win over yours.
logs = replace(logs, willingness_to_pay_usd=unstated, quality_bar=unstated)
rows = np.arange(len(logs))
print(f"{len(logs):,} requests with a choice, {np.isfinite(logs.reward).sum():,} judged")

# %% [markdown]
# # What each setting would have chosen
#
# Every decision was logged with the believed quality and cost of all lanes, so each setting can be replayed. These are
# *beliefs*: they show where a setting begins to matter, but they prove nothing.

# %%
specs = [f"best_value:worth={worth:g}" for worth in WORTHS] + [f"cheapest_above_bar:bar={bar:g}" for bar in BARS]
believed = []
for spec in specs:
    chances = parse_policy(spec).probabilities(logs)
    quality = (chances * np.nan_to_num(logs.quality)).sum(axis=1).mean()
    cost = (chances * np.nan_to_num(logs.expected_cost_usd)).sum(axis=1).mean()
    lanes = chances.mean(axis=0)
    believed.append(
        (spec, quality, 1_000 * cost, (lanes > 0.01).sum(), logs.lane_ids[int(lanes.argmax())], lanes.max())
    )
table = pd.DataFrame(
    believed, columns=["setting", "believed quality", "USD/1,000", "lanes used", "used most", "its share"]
).set_index("setting")
table.round(3)

# %% [markdown]
# # What the rewards show
#
# The same settings judged on what really happened: rewards and costs of the drawn lanes, weighted by the probability of
# the draw (`docs/off-policy.md`). Bars are 95% intervals; a point without a bar means that the logs cannot tell. Wide
# intervals need more feedback, or more [exploration](../docs/exploration.md).

# %%
settings = ComparisonSettings(value_usd=0.01)
logged = parse_policy("logged")
proven = {}
for spec in specs:
    try:
        judged = compare_policies(logs, parse_policy(spec), logged, settings).first
        proven[spec] = judged.intervals
        if "quality" in judged.refusals:
            print(f"{spec}: its quality cannot be told: {judged.refusals['quality'][0]}")
    except CannotTellError as reason:
        print(f"{spec}: {reason}")

figure, panel = plt.subplots(figsize=(8.5, 4.6), layout="constrained")
for kind, colour in (("best_value", "#0072B2"), ("cheapest_above_bar", "#E69F00")):
    of_kind = table[table.index.str.startswith(kind)]
    panel.plot(
        of_kind["USD/1,000"],
        of_kind["believed quality"],
        color=colour,
        marker="o",
        markersize=4,
        label=f"{kind}, believed",
    )
    for spec, point in of_kind.iterrows():
        panel.annotate(
            spec.partition("=")[2], (point["USD/1,000"], point["believed quality"]), fontsize=7, ha="right", va="bottom"
        )
    estimated = [
        (table.loc[spec, "USD/1,000"], proven[spec]["quality"])
        for spec in of_kind.index
        if "quality" in proven.get(spec, {})
    ]
    if estimated:
        cost, intervals = [cost for cost, _ in estimated], [interval for _, interval in estimated]
        estimate = np.array([interval.estimate for interval in intervals])
        low, high = [interval.low for interval in intervals], [interval.high for interval in intervals]
        reach = [estimate - low, high - estimate]
        panel.errorbar(
            cost,
            estimate,
            yerr=reach,
            fmt="s",
            markersize=4,
            color=colour,
            alpha=0.6,
            capsize=2,
            label=f"{kind}, from rewards",
        )
panel.set(xlabel="believed cost, USD per 1,000 requests", ylabel="quality", xscale="log")
panel.legend(frameon=False, fontsize=8)
panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# # How to read it
#
# - **The value of quality** is the price of the last good answer that you would still buy. Between two points of the
#   blue line it is their difference in cost divided by their difference in quality. Go right as long as you would pay
#   that for one more good answer.
# - **A bar** costs more than a value for the same mean quality, because it treats a request that needs a cent like one
#   that needs a dollar. Use it if each single answer must be good enough.
# - **A flat part of the line** means that your lanes differ in price and not in quality: take its left end.
#
# The price of one more good answer along the blue line:

# %%
steps = table[table.index.str.startswith("best_value")]
extra_usd, extra_quality = np.diff(steps["USD/1,000"]) / 1_000, np.diff(steps["believed quality"])
steps = pd.DataFrame(
    {
        "from": steps.index[:-1],
        "to": steps.index[1:],
        "USD for one more good answer": extra_usd / np.maximum(extra_quality, 1e-9),
    }
)
steps.where(steps["USD for one more good answer"] < 1_000).round(5)

# %% [markdown]
# Set it in `llmdeal.toml` (`willingness_to_pay_usd = 0.003`), or for the requests of one caller with `"route":
# {"willingness_to_pay": 0.003}`.
