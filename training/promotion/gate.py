"""Whether a challenger may take the champion's place: only if logs that neither learnt from show that it is better, and no guarded metric is worse.

- *Gain*: the lower end of the interval of the utility gained is above a margin.
- *Guards over all requests* (quality, cost, latency): the end for the worse of each interval is within its margin. All have to hold, each at full confidence: an
  intersection-union test (Berger 1982), which needs no correction for being several.
- *Guards of groups* (each account, each kind of request): quality must not be shown to fall by more than a margin. One account's few requests can seldom prove that nothing
  fell, so here the burden lies on harm: a group stops the promotion where its estimate is below the margin and its fall is beyond luck, at 5% over all groups together
  (Bonferroni: each of k at 5% / k). Groups too small to tell are named in the verdict.

Where the logs cannot tell, nothing is promoted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from router.bundle import load_bundle
from router.verdict import Guard, GuardedMetric, Interval, Verdict
from training.off_policy.comparison import ComparisonSettings, PolicyJudge, PolicyJudgement, keep_judgeable
from training.off_policy.diagnostics import effective_size
from training.off_policy.errors import CannotTellError
from training.off_policy.estimators.port import Estimate, JudgedSample
from training.off_policy.estimators.registry import ESTIMATORS
from training.off_policy.evaluation_policies import EvaluationPolicy, GreedyPolicy
from training.off_policy.intervals.conversations import Conversations
from training.off_policy.request_kinds import UNKNOWN_KIND, kinds_of
from training.off_policy.reward_model import RewardLearner
from training.telemetry.logged_requests import LoggedRequests

Names = npt.NDArray[np.str_]
Ints = npt.NDArray[np.intp]
_MOST_NAMED = 20
"""Groups too small to tell that a verdict names one by one."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What a challenger has to show.

    Args:
        least_gain_usd: Utility a request that it has to gain for sure, USD.
        quality_margin: Most that quality may fall over all requests, 0..1.
        cost_margin: Most that cost may rise over all requests, as a share of the champion's. Cost counts in the utility
            already: this is for bills that nobody expected.
        latency_margin: Likewise for latency.
        group_quality_margin: Most that quality may fall in a group, 0..1.
        group_error: Chance of stopping for luck's sake a challenger that harms no group, over all groups.
        fewest_of_group: Effective number of judged requests from which a group can tell.
        comparison: How the two are judged.
    """

    least_gain_usd: float = 0.0
    quality_margin: float = 0.02
    cost_margin: float = 0.25
    latency_margin: float = 0.25
    group_quality_margin: float = 0.03
    group_error: float = 0.05
    fewest_of_group: float = 50.0
    comparison: ComparisonSettings = field(default_factory=ComparisonSettings)


def judge_bundles(
    logs: LoggedRequests,
    challenger: Path,
    champion: Path,
    judged_at: datetime,
    settings: GateSettings | None = None,
    rule: GreedyPolicy | None = None,
) -> Verdict:
    """Judge two bundles by the policy that uses them.

    Args:
        logs: That neither learnt from: later ones.
        challenger, champion: Folders of the bundles.
        judged_at: The present, aware.
        settings: None: the defaults.
        rule: The policy; its beliefs are replaced. None: `best_value` at the settings' value of a good answer.

    Raises:
        router.errors.BundleError: A bundle is unusable.
    """
    settings = settings or GateSettings()
    judged = settings.comparison
    rule = rule or GreedyPolicy("best_value", judged.value_usd, latency_usd_per_s=judged.latency_usd_per_s)
    versions = (load_bundle(challenger).version, load_bundle(champion).version)
    policies = [_policy_of(logs, folder, rule) for folder in (challenger, champion)]
    return judge_challenger(logs, policies[0], policies[1], versions, judged_at, settings)


def judge_challenger(
    logs: LoggedRequests,
    challenger: EvaluationPolicy,
    champion: EvaluationPolicy,
    versions: tuple[str, str],
    judged_at: datetime,
    settings: GateSettings | None = None,
    learner: RewardLearner | None = None,
) -> Verdict:
    """Judge two policies.

    Args:
        logs: That neither learnt from: later ones.
        challenger, champion: The policies.
        versions: Of their bundles, the challenger's first.
        judged_at: The present, aware.
        settings: None: the defaults.
        learner: Of the reward model; None: the one that the settings name.
    """
    settings = settings or GateSettings()
    try:
        logs, notes = keep_judgeable(logs, challenger, champion)
        judge = PolicyJudge(logs, challenger, champion, settings.comparison, learner)
        _, standing, difference = judge.judgements()
    except CannotTellError as why:
        return Verdict(*versions, False, (f"The logs cannot tell: {why}.",), None, (), len(logs), judged_at)
    gain = difference.intervals.get("utility_usd")
    guards = (
        *_overall_guards(difference, standing, settings),
        *(_group_guards(judge, settings) if "quality" in difference.intervals else ()),
    )
    against = [*_against_gain(difference, settings), *_against_guards(guards)]
    reasons = (
        against
        or [f"Utility rises by {_span(gain, 6)} USD a request, and no guarded metric is worse beyond its margin."]
        if gain
        else against
    )
    return Verdict(*versions, not against, (*reasons, *notes), gain, guards, len(logs), judged_at)


def _policy_of(logs: LoggedRequests, folder: Path, rule: GreedyPolicy) -> EvaluationPolicy:
    """Return the policy of a bundle: by the logged beliefs where they are its own, else by asking it."""
    version = load_bundle(folder).version
    if len(logs) and (logs.router_versions == version).all():
        return replace(rule, title=version)
    from training.off_policy.bundle_beliefs import BundleBeliefs

    return replace(rule, beliefs=BundleBeliefs(folder), needs_text=True, title=version)


def _overall_guards(difference: PolicyJudgement, standing: PolicyJudgement, settings: GateSettings) -> Iterator[Guard]:
    margins: dict[GuardedMetric, float] = {
        "quality": settings.quality_margin,
        "cost_usd": settings.cost_margin * _standing(standing, "cost_usd"),
        "latency_ms": settings.latency_margin * _standing(standing, "latency_ms"),
    }
    for metric, margin in margins.items():
        change = difference.intervals.get(metric)
        name = _TITLES[metric]
        if change is None or not np.isfinite(margin):
            why = difference.refusals.get(metric) or standing.refusals.get(metric) or ("no such interval can be made",)
            yield Guard(name, metric, None, None, 0.0 if not np.isfinite(margin) else margin, "unknown", why[0])
            continue
        worst = -change.low if metric == "quality" else change.high
        is_kept = worst <= margin
        digits = _DIGITS[metric]
        note = f"changes by {_span(change, digits)}; {margin:.{digits}f} for the worse {'are' if is_kept else 'would have been'} allowed"
        yield Guard(name, metric, None, change, margin, "kept" if is_kept else "broken", note)


def _standing(standing: PolicyJudgement, metric: GuardedMetric) -> float:
    found = standing.intervals.get(metric)
    return float("nan") if found is None else max(found.estimate, 0.0)


def _group_guards(judge: PolicyJudge, settings: GateSettings) -> Iterator[Guard]:
    groups = [*_groups("account", judge.logs.accounts, None), *_groups("kind", kinds_of(judge.logs), UNKNOWN_KIND)]
    samples = judge.quality_sample(judge.policies[0]), judge.quality_sample(judge.policies[1])
    found = {name: _change_within(judge, samples, rows, settings) for name, rows in groups}
    telling = {name: change for name, change in found.items() if change is not None}
    quantile = NormalDist().inv_cdf(1 - settings.group_error / max(len(telling), 1))
    margin = settings.group_quality_margin
    for name, (value, error) in telling.items():
        interval = Interval(value, value - quantile * error, value + quantile * error)
        is_broken = value < -margin and interval.high < 0
        note = f"changes by {_span(interval, 3)}, over {len(telling)} groups together; a fall by more than {margin:.3f} that is beyond luck stops"
        yield Guard(f"quality, {name}", "quality", name, interval, margin, "broken" if is_broken else "kept", note)
    small = [name for name, change in found.items() if change is None]
    for name in small[:_MOST_NAMED]:
        yield Guard(
            f"quality, {name}",
            "quality",
            name,
            None,
            margin,
            "unknown",
            "too few judged requests of this group count to tell",
        )
    if len(small) > _MOST_NAMED:
        rest = f"{len(small) - _MOST_NAMED} more groups"
        yield Guard(f"quality, {rest}", "quality", rest, None, margin, "unknown", "likewise")


def _groups(word: str, names: Names, left_out: str | None) -> Iterator[tuple[str, Ints]]:
    """Yield each group's name and rows, ascending."""
    found, number = np.unique(names, return_inverse=True)
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.searchsorted(number[order], np.arange(1, len(found))))
    for name, rows in zip(found.tolist(), parts, strict=True):
        if name != left_out:
            yield f"{word} {name}", rows


def _change_within(
    judge: PolicyJudge, samples: tuple[JudgedSample, JudgedSample], rows: Ints, settings: GateSettings
) -> tuple[float, float] | None:
    """Return (change of quality, its standard error) within a group; None: too few judged requests tell."""
    first, second = (sample.rows(rows) for sample in samples)
    if np.array_equal(first.policy, second.policy):
        return 0.0, 0.0
    apart = np.abs(first.weight - second.weight) * first.observation
    if effective_size(apart) < settings.fewest_of_group:
        return None
    estimator = ESTIMATORS[settings.comparison.method]
    conversations = Conversations.of(judge.conversations.number[rows])
    return _mean_and_error(estimator.estimate(first) - estimator.estimate(second), conversations)


def _mean_and_error(estimate: Estimate, conversations: Conversations) -> tuple[float, float] | None:
    influence = conversations.influence(estimate)
    return (estimate.value, float(influence.std(ddof=1) / np.sqrt(len(influence)))) if len(influence) > 1 else None


def _against_gain(difference: PolicyJudgement, settings: GateSettings) -> Iterator[str]:
    gain = difference.intervals.get("utility_usd")
    if gain is None:
        why = difference.refusals.get("utility_usd") or ("no such interval can be made of it",)
        yield f"The logs cannot tell whether utility rises: {'; '.join(why)}."
    elif gain.low <= settings.least_gain_usd:
        yield (
            f"Utility changes by {_span(gain, 6)} USD a request: the lower end has to be above {settings.least_gain_usd:g} to show that it rises."
        )


def _against_guards(guards: tuple[Guard, ...]) -> Iterator[str]:
    for guard in guards:
        if guard.outcome == "broken":
            yield f"{guard.name[0].upper()}{guard.name[1:]} {guard.note}."
        elif guard.outcome == "unknown" and guard.group is None:
            yield f"The logs cannot tell what becomes of {guard.name}: {guard.note}."


def _span(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return "an unknown amount"
    return f"{interval.estimate:+.{digits}f} ({interval.low:+.{digits}f} to {interval.high:+.{digits}f})"


_TITLES: dict[GuardedMetric, str] = {"quality": "quality", "cost_usd": "cost", "latency_ms": "latency"}
_DIGITS: dict[GuardedMetric, int] = {"quality": 3, "cost_usd": 6, "latency_ms": 0}
