"""Reads policy specs, the text form of policies that the command line takes.

logged                                    the policy that logged
lane:groq/llama-3.3-70b-versatile         always this lane
best_value:worth=0.02,latency=0.001       a policy on the logged beliefs, with settings
cheapest_above_bar:bar=0.8                another policy on the logged beliefs, with a setting
epsilon=0.1,best_value                    a tenth of the requests go to a random eligible lane
bundle=bundles/night-2,best_value         a policy on another bundle's beliefs; needs the text of the requests
reference=bundles/night-1,near_best       near_best on the logged beliefs; its bar is solved on the reference answers of
                                          the bundle that logged
bundle=bundles/night-2,near_best          near_best on another bundle's beliefs and reference answers

The names, and the words for their numbers, are those of `router.policies`.
"""

from collections.abc import Mapping
from pathlib import Path

from router.bundle import load_bundle
from router.policies.best_value import KIND as BEST_VALUE
from router.policies.cheapest_above_bar import KIND as CHEAPEST_ABOVE_BAR
from router.policies.kind import SHARE, PolicyKind
from router.policies.near_best import KIND as NEAR_BEST
from router.policies.registry import DEFAULT_POLICIES
from training.off_policy.errors import PolicySpecError
from training.off_policy.evaluation_policies import (
    RULES,
    Beliefs,
    EvaluationPolicy,
    GreedyPolicy,
    LoggedPolicy,
    MixedPolicy,
    OneLane,
)
from training.off_policy.ranked_policy import RankedPolicy

_LATENCY = "latency"
"""What a second of waiting costs, USD: a setting of `best_value` that only logs can be asked about."""


def parse_policy(spec: str) -> EvaluationPolicy:
    """Return the policy that a text describes.

    Raises:
        PolicySpecError: The policy is unknown, or a setting is out of range.
        router.errors.BundleError: The bundle is unusable.
    """
    sources: dict[str, Path] = {}
    epsilon, rest = None, spec.strip()
    while (word := rest.partition("=")[0]) in ("bundle", "reference", "epsilon"):
        value, comma, rest = rest.partition("=")[2].partition(",")
        if not comma:
            raise PolicySpecError(
                f"policy {spec!r}: a policy has to follow {word}={value}: write {word}={value},best_value"
            )
        if word == "epsilon":
            epsilon = _number(spec, word, value, most=1.0)
        else:
            sources[word] = Path(value)
    policy = _named(spec, rest, sources)
    return policy if epsilon is None else MixedPolicy(policy, epsilon)


def parse_rule(spec: str) -> GreedyPolicy:
    """Return the policy that a text describes, if it is one that chooses by the logged beliefs.

    Raises:
        PolicySpecError: It is another kind of policy, or unknown.
    """
    policy = parse_policy(spec)
    if not isinstance(policy, GreedyPolicy) or policy.beliefs is not None:
        raise PolicySpecError(
            f"policy {spec!r}: bundles are judged by one of {', '.join(RULES)}: give one of them, with its settings"
        )
    return policy


def _named(spec: str, rest: str, sources: Mapping[str, Path]) -> EvaluationPolicy:
    name, _, settings = rest.partition(":")
    bundle = sources.get("bundle")
    kind = DEFAULT_POLICIES.get(name)
    if "reference" in sources and (kind is not NEAR_BEST or bundle is not None):
        raise PolicySpecError(f"policy {spec!r}: reference= is only for near_best on the logged beliefs: leave it out")
    if name in ("logged", "lane"):
        if bundle is not None:
            raise PolicySpecError(f"policy {spec!r}: {name} uses no bundle: leave bundle= out")
        if name == "logged":
            return LoggedPolicy()
        if not settings:
            raise PolicySpecError(f"policy {spec!r}: the lane is missing: write lane:provider/model")
        return OneLane(settings)
    if kind is None and name not in RULES:
        names = dict.fromkeys(["logged", "lane:ID", *RULES, *DEFAULT_POLICIES])
        raise PolicySpecError(f"policy {spec!r}: unknown policy {name!r}: use one of {', '.join(names)}")
    values = _settings(spec, name, kind, settings)
    if kind is NEAR_BEST:
        return _near_best(spec, rest, values, sources)
    if kind is not None and kind.needs_reference_answers:
        raise PolicySpecError(
            f"policy {spec!r}: {name} needs reference answers, and logs hold none: name another policy"
        )
    if bundle is None:
        return _by_beliefs(name, kind, values, None, rest)
    from training.off_policy.bundle_beliefs import BundleBeliefs

    beliefs = BundleBeliefs(bundle)
    return _by_beliefs(name, kind, values, beliefs, f"bundle={beliefs.version},{rest}")


def _by_beliefs(
    name: str, kind: PolicyKind | None, settings: Mapping[str, float], beliefs: Beliefs | None, title: str
) -> EvaluationPolicy:
    if kind is not None and name not in RULES:
        return RankedPolicy(kind.policy(_number_set(kind, settings)), beliefs, title)
    worth_usd, bar = _number_set(BEST_VALUE, settings), _number_set(CHEAPEST_ABOVE_BAR, settings)
    latency_usd_per_s = settings.get(_LATENCY, 0.0)
    return GreedyPolicy(name, worth_usd, bar, latency_usd_per_s, beliefs, needs_text=beliefs is not None, title=title)


def _number_set(kind: PolicyKind, settings: Mapping[str, float]) -> float:
    """Return the number that the settings give to a policy, or its default; 0 when it has no number."""
    return 0.0 if kind.number is None else settings.get(kind.number.spec_word, kind.number.default)


def _near_best(spec: str, rest: str, settings: dict[str, float], sources: Mapping[str, Path]) -> EvaluationPolicy:
    if not sources:
        raise PolicySpecError(
            f"policy {spec!r}: the bar of near_best is solved on a bundle's reference answers: write "
            f"reference=DIR,{rest} with the bundle that logged, or bundle=DIR,{rest}"
        )
    from training.off_policy.bundle_beliefs import BundleBeliefs
    from training.off_policy.near_best import NearBestPolicy

    ((word, folder),) = sources.items()
    bundle = load_bundle(folder)
    beliefs = BundleBeliefs(folder) if word == "bundle" else None
    return NearBestPolicy(bundle, _number_set(NEAR_BEST, settings), beliefs, f"{word}={bundle.version},{rest}")


def _settings(spec: str, name: str, kind: PolicyKind | None, settings: str) -> dict[str, float]:
    number = None if kind is None else kind.number
    largest_of: dict[str, float | None] = {}
    if number is not None:
        largest_of[number.spec_word] = number.largest if number.unit == SHARE else None
    if kind is BEST_VALUE:
        largest_of[_LATENCY] = None
    values: dict[str, float] = {}
    for part in filter(None, settings.split(",")):
        word, _, value = part.partition("=")
        if word not in largest_of:
            choices = f"use one of {', '.join(largest_of)}" if largest_of else "leave the settings out"
            raise PolicySpecError(f"policy {spec!r}: {name} has no setting {word!r}: {choices}")
        values[word] = _number(spec, word, value, most=largest_of[word])
    return values


def _number(spec: str, word: str, value: str, most: float | None) -> float:
    wanted = "a number of at least 0" if most is None else f"a number in 0..{most:g}"
    try:
        number = float(value)
    except ValueError:
        raise PolicySpecError(f"policy {spec!r}: {word} is {value!r}: give {wanted}") from None
    if not 0 <= number < float("inf") or (most is not None and number > most):
        raise PolicySpecError(f"policy {spec!r}: {word} is {value}: give {wanted}")
    return number
