# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Compare policies on your logs
#
# What would another policy have earned on your logged requests? Set `LOGS` to a folder that `llmdeal export` wrote and
# run all cells. Without it, the notebook simulates traffic with a known truth, so that you can see whether the
# intervals contain it. (`../data/samples/telemetry` is an export of 360 requests: too few for most questions, as the
# comparison then says.) `docs/off-policy.md` says how it works and when to believe it.

# %%
import os
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

from training.off_policy.comparison import METRICS, ComparisonSettings, PolicyJudge, compare_policies
from training.off_policy.comparison_report import refusal_lines, span_text
from training.off_policy.estimators.registry import ESTIMATORS
from training.off_policy.intervals.confidence_sequence import ConfidenceSequence
from training.off_policy.policy_specs import parse_policy
from training.off_policy.signals import judgement_rules
from training.off_policy.synthetic import make_traffic
from training.off_policy.traffic import Scenario
from training.telemetry.reader import read_logs

LOGS = os.environ.get("LOGS")  # your own: "exports/november"
FIRST, SECOND = "best_value:worth=0.03", "cheapest_above_bar:bar=0.7"
VALUE_USD = 0.01  # value of a good answer if the caller did not state one

traffic = (
    None
    if LOGS
    else make_traffic(
        Scenario(n_requests=8_000, requests_per_conversation=2, exploration=0.4, feedback=0.3, feedback_by_lane=1.0), 1
    )
)
logs = read_logs(Path(LOGS), rules=judgement_rules()) if traffic is None else traffic.logs
first, second = parse_policy(FIRST), parse_policy(SECOND)
settings = ComparisonSettings(value_usd=VALUE_USD)

# %% [markdown]
# # What is in the logs
#
# An answer without feedback is missing, not bad. Check that all lanes were drawn and judged: the logs say nothing about
# the others.

# %%
rows = np.arange(len(logs))
is_judged = np.isfinite(logs.reward) & logs.is_answered
drawn = pd.DataFrame(
    {"lane": np.array(logs.lane_ids)[logs.chosen], "judged": is_judged, "reward": logs.reward, "cost": logs.cost_usd}
)
print(f"{len(logs):,} requests, {len(np.unique(logs.clusters())):,} conversations, {is_judged.sum():,} judged answers")
drawn.groupby("lane").agg(
    requests=("judged", "size"),
    judged=("judged", "sum"),
    mean_reward=("reward", "mean"),
    usd_for_1000=("cost", lambda cost: 1_000 * cost.mean()),
).round(3)

# %% [markdown]
# The mean rewards above are *not* the quality of the lanes. The policy sent each lane the requests that it believed fit
# for it, and people judge some lanes' answers more often. The estimators below correct both.
#
# # Two policies

# %%
comparison = compare_policies(logs, first, second, settings)
table = pd.DataFrame(
    {
        judged.name: {
            metric: span_text(
                judged.intervals[metric], 1_000 if metric.endswith("usd") else 1, 0 if metric == "latency_ms" else 3
            )
            if metric in judged.intervals
            else "cannot tell"
            for metric in METRICS
        }
        for judged in (comparison.first, comparison.second, comparison.difference)
    }
).T.rename(columns={"cost_usd": "cost, USD/1,000", "utility_usd": "utility, USD/1,000", "latency_ms": "latency, ms"})
print("\n".join(refusal_lines(comparison)) or "The logs can answer every question.")
display(table)

# %% [markdown]
# The difference is more certain than either policy. It is taken on the same requests, and requests on which both take
# the same lane add no uncertainty. On simulated traffic, this is the truth:

# %%
if traffic is not None:
    truth = pd.DataFrame({policy.name: traffic.truth(policy, VALUE_USD) for policy in (first, second)}).T
    truth.loc["difference"] = truth.iloc[0] - truth.iloc[1]
    truth[["cost_usd", "utility_usd"]] *= 1_000
    display(truth.round(3))

# %% [markdown]
# # Can the logs tell?
#
# Left: how often each lane was drawn, and how often each policy would draw it. A policy that wants a rarely drawn lane
# rests on few requests. Right: the weights of the drawn requests. A long tail means that a few requests stand for many.

# %%
COLORS = ("#0072B2", "#E69F00")
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
lanes = [lane.lane_id for lane in comparison.first.diagnostics.lanes]
places = np.arange(len(lanes))
wanted = {lane.lane_id: lane.wanted for lane in comparison.second.diagnostics.lanes}
left.barh(
    places + 0.27, [lane.logged for lane in comparison.first.diagnostics.lanes], 0.25, color="#999999", label="logged"
)
left.barh(places, [lane.wanted for lane in comparison.first.diagnostics.lanes], 0.25, color=COLORS[0], label=FIRST)
left.barh(places - 0.27, [wanted.get(lane, 0) for lane in lanes], 0.25, color=COLORS[1], label=SECOND)
left.set(yticks=places, yticklabels=lanes, xlabel="share of requests")
left.legend(frameon=False, fontsize=8, loc="lower right")
judge = PolicyJudge(logs, first, second, settings)
for policy, color, name in zip(judge.policies, COLORS, (FIRST, SECOND), strict=True):
    weight = policy[rows, logs.chosen] / logs.propensity
    right.hist(
        weight[weight > 0], bins=np.linspace(0, weight.max() * 1.05, 40), histtype="step", color=color, label=name
    )
right.set(xlabel="weight of a request, where not 0", ylabel="requests")
for panel in (left, right):
    panel.spines[["top", "right"]].set_visible(False)
plt.show()
support = pd.DataFrame(
    {
        judged.name: {
            "effective requests": round(judged.diagnostics.effective),
            "of them judged": round(judged.diagnostics.effective_judged),
            "largest share": f"{judged.diagnostics.largest_share:.1%}",
            "not drawable": f"{judged.diagnostics.unsupported:.1%}",
        }
        for judged in (comparison.first, comparison.second, comparison.difference)
    }
).T
display(support)

# %% [markdown]
# # The estimators compared
#
# The difference in quality, by every method. `dm` trusts a reward model, and its interval is too narrow. The others
# should agree within their intervals; `dr` usually has the narrowest interval that you can trust. The dotted line is
# the truth of simulated traffic.

# %%
figure, panel = plt.subplots(figsize=(8, 2.8), layout="constrained")
for place, method in enumerate(ESTIMATORS):
    difference = compare_policies(logs, first, second, replace(settings, method=method)).difference.intervals.get(
        "quality"
    )
    if difference is not None:
        color = "#999999" if method == "dm" else COLORS[0]
        panel.plot([difference.low, difference.high], [place, place], color=color, lw=2)
        panel.plot(difference.estimate, place, "o", color=color)
if traffic is not None:
    panel.axvline(traffic.truth(first)["quality"] - traffic.truth(second)["quality"], color="#444444", lw=1, ls=":")
panel.axvline(0, color="#BBBBBB", lw=0.8)
panel.set(yticks=range(len(ESTIMATORS)), yticklabels=list(ESTIMATORS), xlabel=f"quality of {FIRST} − {SECOND}")
panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# # What is a good answer worth to you?
#
# `best_value` with several values of a good answer, and single lanes. Each point is an estimate from the logs of what
# you would have got. Lanes and policies that the logs say too little about are left out.

# %%
figure, panel = plt.subplots(figsize=(7, 4), layout="constrained")
specs = [f"best_value:worth={worth:g}" for worth in (0.001, 0.003, 0.01, 0.03, 0.1)]
for spec, color in [*((spec, COLORS[0]) for spec in specs), *((f"lane:{lane}", "#999999") for lane in logs.lane_ids)]:
    alone = compare_policies(
        logs, parse_policy(spec), parse_policy("logged"), replace(settings, reward_model="beliefs")
    ).first
    if {"quality", "cost_usd"} <= set(alone.intervals):
        quality, cost = alone.intervals["quality"], alone.intervals["cost_usd"]
        panel.errorbar(
            cost.estimate * 1_000,
            quality.estimate,
            [[quality.estimate - quality.low], [quality.high - quality.estimate]],
            color=color,
            fmt="o",
            ms=4,
        )
        panel.annotate(
            spec.partition(":")[2],
            (cost.estimate * 1_000, quality.estimate),
            (5, -9),
            textcoords="offset points",
            fontsize=7,
        )
panel.set(xscale="log", xlabel="USD for 1,000 requests", ylabel="quality")
panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# # Looking every day
#
# Suppose you look at a 95% interval every day and stop when you like it. Then it is wrong far more often than once in
# twenty times. A confidence sequence allows a look at any time: its band contains the truth at all times together.

# %%
samples = [judge.quality_sample(policy) for policy in judge.policies]
estimate = ESTIMATORS["dr"].estimate(samples[0]) - ESTIMATORS["dr"].estimate(samples[1])
path = ConfidenceSequence(judge.conversations).path(estimate)
start = min(100, len(path) // 2)
figure, panel = plt.subplots(figsize=(8, 3.2), layout="constrained")
panel.fill_between(np.arange(start, len(path)), path[start:, 1], path[start:, 2], color=COLORS[0], alpha=0.2, lw=0)
panel.plot(np.arange(start, len(path)), path[start:, 0], color=COLORS[0])
panel.axhline(0, color="#BBBBBB", lw=0.8)
panel.set(xlabel="conversations", ylabel="difference in quality")
panel.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# # What can go wrong
#
# - **No exploration.** A policy that always took the lane that it believed best leaves no answers of the other lanes.
#   The comparison says so instead of guessing:

# %%
greedy = make_traffic(Scenario(n_requests=2_000, exploration=0.0), 0).logs
print(
    "\n".join(refusal_lines(compare_policies(greedy, parse_policy("lane:large/d"), parse_policy("logged"), settings)))
)

# %% [markdown]
# - **People judge what annoys them.** If people judge an answer because it is bad, and lane and request do not explain
#   it, every method is misled. Let a judge lane grade a random share (`llmdeal judge`).
# - **The logged probabilities are not true**, for example because something else chose the lane. The mean weight is
#   then far from 1, and the comparison refuses.
# - **The future differs from the past.** Prices, lanes and callers change; the results hold for requests like those in
#   the logs. Other answers would also have led to other questions: later requests of a conversation are taken as they
#   were.
