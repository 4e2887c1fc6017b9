# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Read an export and look around
#
# `llmdeal export --since 30d --out exports/november` writes the decisions, their costs and the feedback. Set `LOGS` to
# that folder and run all cells; without it, a small sample is read. `docs/telemetry.md` describes the columns.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import training
from training.telemetry.folder import find_exports
from training.telemetry.reader import read_logs

SAMPLE = Path(training.__file__).parents[1] / "data" / "samples" / "telemetry"
LOGS = Path(os.environ.get("LOGS", SAMPLE))  # your own: "exports/november"

# %% [markdown]
# # As tables
#
# An export is a folder of Parquet files with a manifest; pandas, DuckDB or a spreadsheet can read them. One row of
# `attempts` is one call of a provider. A request that fell back has several rows.

# %%
attempts = pd.concat(
    [pd.read_parquet(path) for export in find_exports(LOGS) for path in export.attempts], ignore_index=True
)
attempts = attempts.drop_duplicates(["request_id", "attempt"]).sort_values("started_at", ignore_index=True)
attempts["cost_usd"] = attempts["cost_nusd"] / 1e9
print(
    f"{attempts['request_id'].nunique():,} requests, {len(attempts):,} attempts, {attempts['cost_usd'].sum():.4f} USD"
)
attempts[
    ["started_at", "lane_id", "reason", "propensity", "prompt_tokens", "completion_tokens", "cost_usd", "outcome"]
].head()

# %%
by_lane = attempts.groupby("lane_id").agg(
    attempts=("request_id", "size"),
    ok=("outcome", lambda outcome: (outcome == "ok").mean()),
    tokens_out=("completion_tokens", "mean"),
    usd=("cost_usd", "sum"),
    p50_ms=("total_ms", "median"),
)
by_lane.sort_values("usd", ascending=False).round(4)

# %% [markdown]
# The reasons for the chosen lanes, as in the header `x-llmdeal-reason`; *explored* marks exploration.

# %%
attempts["reason"].value_counts().to_frame("attempts")

# %% [markdown]
# # As logged requests
#
# The code that learns and judges uses the same data in another form: one row per request with a drawn lane, its
# candidates as arrays over one list of lanes, and its feedback as one reward with an uncertainty.

# %%
logs = read_logs(LOGS)
is_judged = np.isfinite(logs.reward)
print(f"{len(logs):,} drawn requests over {len(logs.lane_ids)} lanes, {is_judged.mean():.0%} of them judged")
pd.DataFrame(
    {
        "eligible": logs.is_eligible.mean(axis=0),
        "mean chance": logs.probability.mean(axis=0),
        "drawn": np.bincount(logs.chosen, minlength=len(logs.lane_ids)) / max(len(logs), 1),
        "believed quality": np.nanmean(np.where(logs.is_eligible, logs.quality, np.nan), axis=0),
        "believed USD": np.nanmean(np.where(logs.is_eligible, logs.expected_cost_usd, np.nan), axis=0),
    },
    index=list(logs.lane_ids),
).round(4)

# %% [markdown]
# *Mean chance* and *drawn* should agree, because the logged probabilities are those of the draw. A lane with a mean
# chance of 0 was never tried, and the logs say nothing about it: give [exploration](../docs/exploration.md) a share.
#
# # Do the beliefs match the rewards?
#
# Believed quality of the drawn lane against the reward, in tenths of the requests. A point on the diagonal means:
# answers that were believed good with this probability were good so often.

# %%
believed = logs.quality[np.arange(len(logs)), logs.chosen].astype(float)
is_compared = is_judged & np.isfinite(believed)
tenths = np.array_split(np.flatnonzero(is_compared)[np.argsort(believed[is_compared])], 10)
tenths = [rows for rows in tenths if len(rows)]
stated = np.array([believed[rows].mean() for rows in tenths])
observed = np.array([logs.reward[rows].mean() for rows in tenths])
error = np.array([logs.reward[rows].std() / np.sqrt(len(rows)) for rows in tenths])

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot([0, 1], [0, 1], color="#777777", linestyle=":")
left.errorbar(stated, observed, yerr=error, fmt="o", color="#0072B2", capsize=2)
left.set(
    xlabel="believed P(good answer)",
    ylabel="mean reward",
    title="on the diagonal, beliefs match rewards",
    xlim=(0, 1),
    ylim=(0, 1),
)
cost = pd.Series(np.nan_to_num(logs.cost_usd), index=pd.DatetimeIndex(logs.started_at))
cost.cumsum().plot(ax=right, color="#D55E00")
right.set(xlabel="", ylabel="USD", title="spent so far")
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# Answers without feedback have no reward. People judge what they notice, so this is not a random sample. Next steps:
#
# - To estimate what *another* policy would have earned from these requests, go on with
#   `04-compare-policies-off-policy.ipynb`.
# - To choose the bar, go on with `05-choose-the-bar-and-the-value-of-quality.ipynb`.
