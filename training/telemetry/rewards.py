"""Turns the signals of requests into rewards."""

from collections.abc import Mapping

import numpy as np

from router.reward import RewardRule, combine_rewards
from training.telemetry.index import RequestIndex
from training.telemetry.logged_requests import Floats
from training.telemetry.signals import RequestSignals


def rewards_of(
    index: RequestIndex, signals: RequestSignals, rules: Mapping[str, RewardRule], *, corrects_errors: bool = False
) -> tuple[Floats, Floats]:
    """Return each request's reward and its standard deviation, shape (n,).

    Both are NaN if the drawn lane's answer was not judged.

    Args:
        index: The requests.
        signals: Their signals.
        rules: Metric -> rule that turns its values into a reward.
        corrects_errors: Whether the share of wrong judgements is taken out; see `router.reward.combine_rewards`.
    """
    reward, reward_std = combine_rewards(
        signals.request,
        signals.metric_names,
        signals.values,
        len(index),
        rules,
        signals.n_answers,
        corrects_errors=corrects_errors,
    )
    reward[index.is_answered_elsewhere] = reward_std[index.is_answered_elsewhere] = np.nan
    return reward, reward_std
