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
# What would another policy have got, had it answered the requests that you logged? Set `LOGS` to a folder that `llmdeal export` wrote and run all cells. Without one, traffic is made up whose
# truth is known, so that you can see whether the intervals hold it. (`../data/samples/telemetry` is a real export, but of 360 requests: too few for most questions, as the
# comparison then says.) How it works, and when to believe it: `docs/off-policy.md`.

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
VALUE_USD = 0.01  # what a good answer is worth where the caller did not say

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
# An answer that nobody judged is missing, not bad. Look at whether all lanes were drawn, and judged: of a lane that was not, nothing can be said.

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
# The mean rewards above are *not* what the lanes are worth: the policy sent each lane the requests that it thought fit for it, and people judge some lanes' answers more often. What follows undoes both.
#
# # Two policies

# %%
found = compare_policies(logs, first, second, settings)
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
        for judged in (found.first, found.second, found.difference)
    }
).T.rename(columns={"cost_usd": "cost, USD/1,000", "utility_usd": "utility, USD/1,000", "latency_ms": "latency, ms"})
print("\n".join(refusal_lines(found)) or "The logs can tell everything that was asked.")
display(table)

# %% [markdown]
# The difference is better known than either policy: it is taken on the same requests, and where both would take the same lane there is nothing to doubt. On made-up traffic, this is the truth:

# %%
if traffic is not None:
    truth = pd.DataFrame({policy.name: traffic.truth(policy, VALUE_USD) for policy in (first, second)}).T
    truth.loc["difference"] = truth.iloc[0] - truth.iloc[1]
    truth[["cost_usd", "utility_usd"]] *= 1_000
    display(truth.round(3))

# %% [markdown]
# # Can the logs tell?
#
# Left: how often each lane was drawn, and would be. A policy that wants what was hardly ever drawn rests on few requests. Right: the weights of the drawn requests. A long tail means that few requests speak for many.

# %%
COLORS = ("#0072B2", "#E69F00")
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
lanes = [lane.lane_id for lane in found.first.diagnostics.lanes]
places = np.arange(len(lanes))
wanted = {lane.lane_id: lane.wanted for lane in found.second.diagnostics.lanes}
left.barh(places + 0.27, [lane.logged for lane in found.first.diagnostics.lanes], 0.25, color="#999999", label="logged")
left.barh(places, [lane.wanted for lane in found.first.diagnostics.lanes], 0.25, color=COLORS[0], label=FIRST)
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
        for judged in (found.first, found.second, found.difference)
    }
).T
display(support)

# %% [markdown]
# # The estimators beside each other
#
# The difference in quality, by every method. `dm` trusts a reward model and looks sure of itself for no reason. The others should agree within their intervals; `dr` is usually the narrowest of those that
# can be trusted. The dotted line is the truth, where it is known.

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
# `best_value` at several worths, and single lanes: each point is what the logs say that you would have got. Lanes and policies of which the logs cannot tell are left out.

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
# An interval of 95% that is looked at until one likes it errs far more often than in one case of twenty. A confidence sequence may be looked at at any time: its band holds the truth at all times together.

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
# - **Nothing was explored.** A policy that always took what it thought best leaves no answers of the other lanes. The comparison says so instead of guessing:

# %%
greedy = make_traffic(Scenario(n_requests=2_000, exploration=0.0), 0).logs
print(
    "\n".join(refusal_lines(compare_policies(greedy, parse_policy("lane:large/d"), parse_policy("logged"), settings)))
)

# %% [markdown]
# - **People judge what annoys them.** If answers are judged because they are bad, beyond what lane and request tell, every method is misled. Let a judge lane grade a random share (`llmdeal judge`).
# - **The logged probabilities are not true**, for instance because something else chose the lane. The mean weight is then far from 1, and the comparison refuses.
# - **The future is not the past.** Prices, lanes and callers change; what the logs say holds for requests like those in them. A policy that answers differently would also have been asked differently: within a
#   conversation, later requests are taken as they were.
