"""Decides whether a challenger may replace the champion, on logs that neither of them learned from.

The logs have to show that the challenger is better and that no guarded metric is worse:

- *Gain*: the lower end of the interval of the utility gain is above a margin.
- *Guards over all requests* (quality, cost, latency): the worse end of each interval is within its margin. All guards
  have to hold, each at full confidence. This is an intersection-union test (Berger 1982), so it needs no correction for
  multiple tests.
- *Guards of groups* (each account, each kind of request): quality must not be shown to fall by more than a margin. The
  few requests of one account can seldom prove that quality did not fall. So here harm has to be proved: a group stops
  the promotion if its estimate is below the margin and its fall is statistically significant, at 5% over all groups
  together (Bonferroni: each of k groups at 5% / k). The verdict names the groups that are too small to tell.

If the logs cannot tell, the challenger is not promoted.
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
"""Largest number of too small groups that a verdict names one by one."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Conditions that a challenger has to meet.

    Args:
        least_gain_usd: Gain of utility per request that the lower end of its interval has to exceed, USD.
        quality_margin: Largest fall of quality over all requests, 0..1.
        cost_margin: Largest rise of cost over all requests, as a share of the champion's cost. The utility already
            includes cost; this margin protects the operator from unexpected bills.
        latency_margin: Largest rise of latency over all requests, as a share of the champion's latency.
        group_quality_margin: Largest fall of quality in a group, 0..1.
        group_error: Probability, over all groups, of stopping a challenger by chance although it harms no group.
        fewest_of_group: Effective number of judged requests that a group needs before it is tested.
        comparison: Settings of the comparison of the two bundles.
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
    """Return the verdict on a challenger bundle, compared with the champion bundle under the same policy.

    Args:
        logs: Logged requests that neither bundle learned from, so later ones.
        challenger, champion: Folders of the bundles.
        judged_at: Present time, aware.
        settings: Conditions to meet; None: the defaults.
        rule: Policy; its beliefs are replaced by each bundle's. None: `best_value` at the settings' value of a good
            answer.

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
    """Return the verdict on a challenger policy, compared with the champion's policy.

    Args:
        logs: Logged requests that neither policy's bundle learned from, so later ones.
        challenger, champion: Policies to compare.
        versions: Versions of their bundles, the challenger's first.
        judged_at: Present time, aware.
        settings: Conditions to meet; None: the defaults.
        learner: Learner of the reward model; None: the one that the settings name.
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
    """Return the policy with a bundle's beliefs: the logged ones if all are its own, else the bundle is asked."""
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
            why = difference.refusals.get(metric) or standing.refusals.get(metric) or (_NO_INTERVAL,)
            yield Guard(name, metric, None, None, 0.0 if not np.isfinite(margin) else margin, "unknown", why[0])
            continue
        worst = -change.low if metric == "quality" else change.high
        is_kept = worst <= margin
        digits = _DIGITS[metric]
        allowed = f"up to {margin:.{digits}f} for the worse {'is' if is_kept else 'would have been'} allowed"
        note = f"changes by {_span(change, digits)}; {allowed}"
        yield Guard(name, metric, None, change, margin, "kept" if is_kept else "broken", note)


def _standing(standing: PolicyJudgement, metric: GuardedMetric) -> float:
    interval = standing.intervals.get(metric)
    return float("nan") if interval is None else max(interval.estimate, 0.0)


def _group_guards(judge: PolicyJudge, settings: GateSettings) -> Iterator[Guard]:
    groups = [*_groups("account", judge.logs.accounts, None), *_groups("kind", kinds_of(judge.logs), UNKNOWN_KIND)]
    samples = judge.quality_sample(judge.policies[0]), judge.quality_sample(judge.policies[1])
    changes = {name: _change_within(judge, samples, rows, settings) for name, rows in groups}
    telling = {name: change for name, change in changes.items() if change is not None}
    quantile = NormalDist().inv_cdf(1 - settings.group_error / max(len(telling), 1))
    margin = settings.group_quality_margin
    for name, (value, error) in telling.items():
        interval = Interval(value, value - quantile * error, value + quantile * error)
        is_broken = value < -margin and interval.high < 0
        note = (
            f"changes by {_span(interval, 3)}, interval for {len(telling)} groups together; a statistically "
            f"significant fall of more than {margin:.3f} stops the promotion"
        )
        yield Guard(f"quality, {name}", "quality", name, interval, margin, "broken" if is_broken else "kept", note)
    small = [name for name, change in changes.items() if change is None]
    for name in small[:_MOST_NAMED]:
        note = "this group has too few judged requests to tell"
        yield Guard(f"quality, {name}", "quality", name, None, margin, "unknown", note)
    if len(small) > _MOST_NAMED:
        rest = f"{len(small) - _MOST_NAMED} more groups"
        note = "these groups have too few judged requests to tell"
        yield Guard(f"quality, {rest}", "quality", rest, None, margin, "unknown", note)


def _groups(word: str, names: Names, left_out: str | None) -> Iterator[tuple[str, Ints]]:
    """Yield each group's name and rows, ascending."""
    group_names, number = np.unique(names, return_inverse=True)
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.searchsorted(number[order], np.arange(1, len(group_names))))
    for name, rows in zip(group_names.tolist(), parts, strict=True):
        if name != left_out:
            yield f"{word} {name}", rows


def _change_within(
    judge: PolicyJudge, samples: tuple[JudgedSample, JudgedSample], rows: Ints, settings: GateSettings
) -> tuple[float, float] | None:
    """Return (change of quality, its standard error) within a group; None if it has too few judged requests."""
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
        why = difference.refusals.get("utility_usd") or (_NO_INTERVAL,)
        yield f"The logs cannot tell whether utility rises: {'; '.join(why)}."
    elif gain.low <= settings.least_gain_usd:
        yield (
            f"Utility changes by {_span(gain, 6)} USD a request: the lower end has to be above "
            f"{settings.least_gain_usd:g} to show that it rises."
        )


def _against_guards(guards: tuple[Guard, ...]) -> Iterator[str]:
    for guard in guards:
        if guard.outcome == "broken":
            yield f"{guard.name[0].upper()}{guard.name[1:]} {guard.note}."
        elif guard.outcome == "unknown" and guard.group is None:
            yield f"The logs cannot tell how {guard.name} changes: {guard.note}."


def _span(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return "an unknown amount"
    return f"{interval.estimate:+.{digits}f} ({interval.low:+.{digits}f} to {interval.high:+.{digits}f})"


_NO_INTERVAL = "no interval of the chosen kind can be computed"
_TITLES: dict[GuardedMetric, str] = {"quality": "quality", "cost_usd": "cost", "latency_ms": "latency"}
_DIGITS: dict[GuardedMetric, int] = {"quality": 3, "cost_usd": 6, "latency_ms": 0}
