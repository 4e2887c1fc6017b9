"""Turns the signals of requests into rewards."""

from collections.abc import Mapping

from router.reward import RewardRule, combine_rewards
from training.telemetry.index import RequestIndex
from training.telemetry.logged_requests import Floats
from training.telemetry.signals import RequestSignals


def rewards_of(
    index: RequestIndex, signals: RequestSignals, rules: Mapping[str, RewardRule], *, corrects_errors: bool = False
) -> tuple[Floats, Floats]:
    """Return the reward of the answer that each caller got, and its standard deviation, shape (n,).

    Both are NaN if that answer was not judged. Another lane than the drawn one may have given it.

    Args:
        index: The requests.
        signals: Their signals.
        rules: Metric -> rule that turns its values into a reward.
        corrects_errors: Whether the share of wrong judgements is taken out; see `router.reward.combine_rewards`.
    """
    return combine_rewards(
        signals.request,
        signals.metric_names,
        signals.values,
        len(index),
        rules,
        signals.n_answers,
        corrects_errors=corrects_errors,
    )
