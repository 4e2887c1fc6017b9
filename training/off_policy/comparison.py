"""Judges two policies on the same logs: quality, cost, latency and utility of each, and of their difference.

The difference is known far more exactly than each figure alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from router.policies.best_value import DEFAULT_WILLINGNESS_TO_PAY_USD
from router.verdict import Interval
from training.errors import SettingsError
from training.off_policy.diagnostics import (
    Diagnostics,
    SupportLimits,
    diagnose,
    diagnose_difference,
    drawn_of,
    refusals,
)
from training.off_policy.errors import CannotTellError
from training.off_policy.estimators.port import Estimate, JudgedSample
from training.off_policy.estimators.registry import ESTIMATORS
from training.off_policy.evaluation_policies import EvaluationPolicy
from training.off_policy.intervals.conversations import Conversations
from training.off_policy.intervals.registry import INTERVALS
from training.off_policy.observation import observation_propensity, observation_weight
from training.off_policy.reward_model import BeliefLearner, RewardLearner, cross_fit_rewards, folds_of
from training.off_policy.spent_model import cross_fit_spent
from training.telemetry.logged_requests import Float32s, Floats, LoggedRequests, Mask

Metric = Literal["quality", "cost_usd", "latency_ms", "utility_usd"]
METRICS: tuple[Metric, ...] = ("quality", "cost_usd", "latency_ms", "utility_usd")
_OF_JUDGED: frozenset[Metric] = frozenset({"quality", "utility_usd"})


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """Settings of a comparison.

    Args:
        method: Name of the estimator, one of `estimators.registry.ESTIMATORS`.
        interval: Kind of interval, one of `intervals.registry.INTERVALS`.
        level: Confidence of the intervals, 0..1.
        value_usd: Value of a good answer if the caller did not state one, USD.
        latency_usd_per_s: Cost of a second of waiting, USD.
        reward_model: `trees` or `beliefs`; see `reward_model`.
        n_folds: Number of folds of the cross-fitting.
        seed: Seed of the folds and the trees.
        threads: Number of threads that fit the trees.
        limits: Limits below which the logs cannot tell.
    """

    method: str = "dr"
    interval: str = "bootstrap"
    level: float = 0.95
    value_usd: float = DEFAULT_WILLINGNESS_TO_PAY_USD
    latency_usd_per_s: float = 0.0
    reward_model: Literal["trees", "beliefs"] = "trees"
    n_folds: int = 5
    seed: int = 0
    threads: int = 1
    limits: SupportLimits = field(default_factory=SupportLimits)

    def __post_init__(self) -> None:
        for name, choices in (("method", ESTIMATORS), ("interval", INTERVALS)):
            if getattr(self, name) not in choices:
                raise SettingsError(f"unknown {name} {getattr(self, name)!r}: use one of {', '.join(choices)}")
        if not 0.5 <= self.level < 1:
            raise SettingsError(f"level is {self.level}: give a number in 0.5..1, such as 0.95")
        if self.n_folds < 2:
            raise SettingsError(f"n_folds is {self.n_folds}: give at least 2")


@dataclass(frozen=True, slots=True, eq=False)
class PolicyJudgement:
    """Judgement of a policy, or of the difference of two policies, by the logs.

    Args:
        name: Name of the policy.
        intervals: Metric -> estimate and interval; absent if the logs cannot tell, or if no interval of the chosen kind
            can be computed.
        refusals: Metric -> reasons why the logs cannot tell.
        diagnostics: Diagnostics of the support in the logs.
    """

    name: str
    intervals: Mapping[Metric, Interval]
    refusals: Mapping[Metric, tuple[str, ...]]
    diagnostics: Diagnostics


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Judgements of two policies and of their difference, first minus second.

    Args:
        first, second, difference: Judgements by the logs.
        settings: Settings of the comparison.
        notes: Notes for the reader of the figures.
    """

    first: PolicyJudgement
    second: PolicyJudgement
    difference: PolicyJudgement
    settings: ComparisonSettings
    notes: tuple[str, ...]


class PolicyJudge:
    """Judges two policies on logs. Folds, reward models and observation weights are computed once for both.

    Args:
        logs: Logged requests.
        first, second: Policies to compare.
        settings: Settings of the comparison.
        learner: Learner of the reward model; None: the one that the settings name.

    Raises:
        CannotTellError: There are no requests, or text that a policy needs was not kept.
    """

    def __init__(
        self,
        logs: LoggedRequests,
        first: EvaluationPolicy,
        second: EvaluationPolicy,
        settings: ComparisonSettings,
        learner: RewardLearner | None = None,
    ) -> None:
        if not len(logs):
            raise CannotTellError("there are no logged requests: export a longer time, or wait")
        self.logs, self.settings = logs, settings
        self.names = (first.name, second.name)
        self.policies = tuple(policy.probabilities(logs).astype(np.float32) for policy in (first, second))
        self.conversations = Conversations.of(logs.clusters())
        self._fold = folds_of(self.conversations, settings.n_folds, settings.seed)
        self._rows = np.arange(len(logs))
        self._given_learner = learner

    @cached_property
    def is_judged(self) -> Mask:
        """Whether the quality of what the caller got is known, shape (n,): judged, or 0 because no lane answered."""
        return np.isfinite(self.logs.outcome_reward)

    @cached_property
    def observation(self) -> Floats:
        """Observation weight, shape (n,): 1 / probability of being judged for a judged answer, 0 for others."""
        failed, propensity = self.logs.failures, np.ones(len(self.logs))
        if not failed.all():
            propensity[~failed] = observation_propensity(self.logs.rows(~failed), self.is_judged[~failed])
        return observation_weight(self.is_judged, propensity)

    @cached_property
    def expected_reward(self) -> Float32s:
        """Rewards that the reward model expects, shape (n, m); 0 for lanes that neither policy takes nor was drawn."""
        is_needed = (self.policies[0] > 0) | (self.policies[1] > 0)
        is_needed[self._rows, self.logs.chosen] = True
        return cross_fit_rewards(self.logs, is_needed, self._learner(), self._fold)

    @cached_property
    def estimates(self) -> tuple[Mapping[Metric, Estimate], Mapping[Metric, Estimate]]:
        """Estimates of each metric for both policies, even if the logs cannot tell."""
        return self._estimates(self.policies[0]), self._estimates(self.policies[1])

    def judgements(self) -> tuple[PolicyJudgement, PolicyJudgement, PolicyJudgement]:
        """Return the judgements of the first policy, the second policy, and the first minus the second."""
        first, second = self.policies
        limits = self.settings.limits
        one, other = self.estimates
        # A failed request counts 0 without anybody's judgement, so it must not make up for judgements that are missing.
        judged_by = np.where(self.logs.failures, 0.0, self.observation)
        difference = {metric: one[metric] - other[metric] for metric in METRICS}
        parts = (
            (self.names[0], one, diagnose(self.logs, first, judged_by, self.conversations, limits)),
            (self.names[1], other, diagnose(self.logs, second, judged_by, self.conversations, limits)),
            (
                f"{self.names[0]} − {self.names[1]}",
                difference,
                diagnose_difference(self.logs, first, second, judged_by, self.conversations, limits),
            ),
        )
        maker = INTERVALS[self.settings.interval](self.conversations, self.settings.level)
        judged = []
        for name, estimates, diagnostics in parts:
            reasons = {metric: self._refusals(metric, diagnostics) for metric in METRICS}
            intervals = {metric: maker.interval(estimates[metric]) for metric in METRICS if not reasons[metric]}
            kept = {metric: interval for metric, interval in intervals.items() if interval is not None}
            judged.append(
                PolicyJudgement(name, kept, {metric: why for metric, why in reasons.items() if why}, diagnostics)
            )
        return judged[0], judged[1], judged[2]

    def _refusals(self, metric: Metric, diagnostics: Diagnostics) -> tuple[str, ...]:
        reasons = refusals(diagnostics, self.settings.limits, of_judged=metric in _OF_JUDGED)
        if reasons:
            return reasons
        needed: dict[Metric, tuple[str, ...]] = {
            "cost_usd": ("cost",),
            "latency_ms": ("latency",),
            "utility_usd": ("cost",),
        }
        if self.settings.latency_usd_per_s:
            needed["utility_usd"] = ("cost", "latency")
        logged = {"cost": self._cost[0], "latency": self._latency[0]}
        fewest = self.settings.limits.fewest_effective
        few = [name for name in needed.get(metric, ()) if (logged[name] > 0).sum() < fewest]
        return tuple(f"the {name} of too few requests was logged" for name in few)

    def quality_sample(self, policy: Float32s) -> JudgedSample:
        """Return the sample from which estimators estimate the quality of one of the two policies."""
        reward = np.where(self.is_judged, self.logs.outcome_reward, 0.0)
        expected = self.expected_reward if self._needs_model else None
        return self._sample(policy, self.observation, reward, expected, 1.0)

    @cached_property
    def _needs_model(self) -> bool:
        return ESTIMATORS[self.settings.method].needs_reward_model

    def _estimates(self, policy: Float32s) -> Mapping[Metric, Estimate]:
        logs, settings, estimator = self.logs, self.settings, ESTIMATORS[self.settings.method]
        of_quality = self.quality_sample(policy)
        stated = logs.willingness_to_pay_usd
        value = np.where(np.isnan(stated), settings.value_usd, stated)
        expected = None if of_quality.expected is None else (of_quality.expected * value[:, None]).astype(np.float32)
        of_worth = self._sample(policy, self.observation, of_quality.outcome * value, expected, float(value.max()))
        cost, latency = (
            estimator.estimate(self._sample(policy, observation, outcome, expected, None))
            for observation, outcome, expected in (self._cost, self._latency)
        )
        utility = estimator.estimate(of_worth) - cost
        if settings.latency_usd_per_s:
            utility = utility - latency.scaled(settings.latency_usd_per_s / 1_000)
        return {
            "quality": estimator.estimate(of_quality),
            "cost_usd": cost,
            "latency_ms": latency,
            "utility_usd": utility,
        }

    @cached_property
    def _cost(self) -> tuple[Floats, Floats, Float32s | None]:
        return self._spent(self.logs.cost_usd, self.logs.expected_cost_usd)

    @cached_property
    def _latency(self) -> tuple[Floats, Floats, Float32s | None]:
        return self._spent(self.logs.latency_ms, self.logs.expected_latency_ms)

    def _spent(self, outcome: Floats, believed: Float32s) -> tuple[Floats, Floats, Float32s | None]:
        """Return (observation weight, outcome or 0 if unknown, expected outcome of every lane) of a cost or latency."""
        is_known = np.isfinite(outcome)
        observation = observation_weight(is_known, observation_propensity(self.logs, is_known))
        expected = cross_fit_spent(self.logs, believed, outcome, self._fold) if self._needs_model else None
        return observation, np.where(is_known, outcome, 0.0), expected

    def _sample(
        self, policy: Float32s, observation: Floats, outcome: Floats, expected: Float32s | None, scale: float | None
    ) -> JudgedSample:
        logs = self.logs
        weight = drawn_of(policy, logs) / logs.propensity
        return JudgedSample(policy, logs.probability, weight, observation, outcome, expected, logs.chosen, scale)

    def _learner(self) -> RewardLearner:
        if self._given_learner is not None:
            return self._given_learner
        if self.settings.reward_model == "beliefs":
            return BeliefLearner()
        from training.off_policy.trees import TreeLearner, TreeSettings

        return TreeLearner(TreeSettings(seed=self.settings.seed, threads=self.settings.threads))


def compare_policies(
    logs: LoggedRequests, first: EvaluationPolicy, second: EvaluationPolicy, settings: ComparisonSettings | None = None
) -> Comparison:
    """Return the comparison of two policies on the same logged requests.

    If a policy needs text, both are judged on the requests whose text was kept, and a note says so.

    Raises:
        CannotTellError: There is no request that both policies can be judged on.
    """
    settings = settings or ComparisonSettings()
    logs, notes = keep_judgeable(logs, first, second)
    judged = PolicyJudge(logs, first, second, settings)
    unanswered = int((~logs.is_answered).sum())
    if unanswered:
        notes.append(
            f"requests that the drawn lane did not answer: {unanswered:,}; they count with the cost, the wait and the "
            "quality of what the caller got instead"
        )
    missing = (
        METRICS
        if settings.interval == "bernstein" and settings.method == "snips"
        else ("cost_usd", "latency_ms", "utility_usd")
    )
    if settings.interval == "bernstein":
        notes.append(
            f"there is no empirical Bernstein bound of {', '.join(missing)}: they have no known bound, or are ratios"
        )
    return Comparison(*judged.judgements(), settings, tuple(notes))


def keep_judgeable(logs: LoggedRequests, *policies: EvaluationPolicy) -> tuple[LoggedRequests, list[str]]:
    """Return the requests that all policies can be judged on, and a note if some requests are left out.

    Raises:
        CannotTellError: There is no such request.
    """
    if not any(policy.needs_text for policy in policies):
        return logs, []
    has_text = np.array([prompt is not None for prompt in logs.prompts], np.bool_)
    if not has_text.any():
        raise CannotTellError(
            "no request kept its text, and a bundle reads text (the logged features are only a part of its input): log "
            'with telemetry_content = "full", or judge a policy on the logged beliefs'
        )
    if has_text.all():
        return logs, []
    return logs.rows(has_text), [f"judged on the {int(has_text.sum()):,} of {len(logs):,} requests whose text was kept"]
