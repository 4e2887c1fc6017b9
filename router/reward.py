"""The reward of an answer: one number in [0, 1] with its uncertainty, from all feedback and checks of the answer.

Every signal is a noisy measurement of the answer's latent quality. The deviation belongs to the metric:

    x_k = quality + noise,  noise of standard deviation s_k        reward = sum(x_k / s_k^2) / sum(1 / s_k^2)
                                                                   reward_std = sum(1 / s_k^2) ^ -1/2

There is no prior: without signals the reward is unknown (NaN), which is not zero. A metric has one deviation for all
values: if bad news counted more than good news, a precision-weighted mean over many answers would be worse than the
answers are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from router.arrays import Floats, Rows
from router.errors import RewardError

Names = Sequence[str] | npt.NDArray[np.str_] | npt.NDArray[np.object_]

LARGEST_VARIANCE: Final = 0.25
"""Largest variance of an answer that is good or bad."""
_PASSED = 0.65
"""Quality of an answer when a check found nothing wrong and nothing else is known: about that of a graded answer of the
shipped corpus. The means of its three sources are 0.43 to 0.68, and its tasks are harder than most requests."""


@dataclass(frozen=True, slots=True)
class RewardRule:
    """The rule that turns one metric into quality: a straight line between two values, flat beyond them.

    Args:
        worst_value, best_value: Values of the metric; the worst one may be the larger.
        worst_quality, best_quality: Quality of the answer at these values, 0..1.
        std: Standard deviation of the measurement, above 0.
        why: Source of the numbers.
        wrong_share: Share of the judgements that are the wrong way round, 0..0.5. They draw the mean reward of all
            answers towards 1/2, which `correct_errors` undoes.

    Raises:
        RewardError: A number is out of its range.
    """

    worst_value: float
    best_value: float
    worst_quality: float
    best_quality: float
    std: float
    why: str
    wrong_share: float = 0.0

    def __post_init__(self) -> None:
        if not (isfinite(self.worst_value) and isfinite(self.best_value)) or self.worst_value == self.best_value:
            raise RewardError(
                f"a metric needs two finite values that differ, not {self.worst_value!r} and {self.best_value!r}"
            )
        if not 0 <= self.worst_quality <= self.best_quality <= 1:
            raise RewardError(
                f"qualities lie in 0..1, the worst first, not {self.worst_quality!r} and {self.best_quality!r}"
            )
        if not 0 < self.std < float("inf"):
            raise RewardError(f"the deviation of a measurement is above 0, not {self.std!r}")
        if not 0 <= self.wrong_share < 0.5:
            raise RewardError(f"less than half of the judgements are wrong, not {self.wrong_share!r}")

    @property
    def value_range(self) -> tuple[float, float]:
        """The smallest and the largest value of the metric."""
        return min(self.worst_value, self.best_value), max(self.worst_value, self.best_value)


_WRONG_SHARE = 0.11
_AGREEMENT = (
    "Two people agree on 81% of decided pairs (Zheng et al. 2023, MT-Bench, section 4.2): "
    "each errs on 11%, a deviation of 0.31."
)
_JUDGE = (
    "A strong judge agrees with people as often as they do with each other (ibid.), "
    "but its errors are the same for all answers."
)

REWARD_RULES: Final[Mapping[str, RewardRule]] = MappingProxyType(
    {
        "thumbs": RewardRule(0, 1, 0.0, 1.0, 0.3, _AGREEMENT, _WRONG_SHARE),
        "score": RewardRule(
            0, 1, 0.0, 1.0, 0.2, "Your own measure, such as the share of tests passed; taken to be better than a thumb."
        ),
        "rating": RewardRule(1, 5, 0.0, 1.0, 0.3, "Stars, as a thumb with shades.", _WRONG_SHARE),
        "judge.rubric": RewardRule(0, 1, 0.0, 1.0, 0.35, _JUDGE, _WRONG_SHARE),
        "judge.pairwise": RewardRule(
            0,
            1,
            0.1,
            0.9,
            0.45,
            f"{_JUDGE} Better than another answer is not yet good; both orders gave the same verdict.",
        ),
        "judge.pairwise_split": RewardRule(
            0, 1, 0.1, 0.9, 0.8, "The verdict turned with the order of the two answers: it says little."
        ),
        "schema_valid": RewardRule(
            0, 1, 0.0, _PASSED, 0.4, "An answer that cannot be read is of no use; one that can may still be wrong."
        ),
        "tool_arguments_valid": RewardRule(
            0, 1, 0.0, _PASSED, 0.4, "As schema_valid: a call that cannot be made is of no use."
        ),
        "refusal": RewardRule(1, 0, 0.1, _PASSED, 0.7, "Some refusals are right, and some phrases of one are none."),
        "truncated": RewardRule(
            1, 0, 0.25, _PASSED, 0.7, "An answer without its end; often it was the caller's own limit."
        ),
        "asked_again": RewardRule(
            1, 0, 0.2, _PASSED, 0.7, "People ask the same again when the answer was of no use, or to see another."
        ),
        "edited_share": RewardRule(
            1, 0, 0.1, _PASSED, 0.7, "The share of the answer that its user replaced before going on."
        ),
    }
)
"""Metric name -> its rule. A metric without a rule does not count."""


def combine_rewards(
    request_index: Rows,
    metric_names: Names,
    values: Floats,
    n_requests: int,
    rules: Mapping[str, RewardRule] = REWARD_RULES,
    n_answers: Floats | None = None,
    *,
    corrects_errors: bool = False,
) -> tuple[Floats, Floats]:
    """Return the reward of each request and its standard deviation.

    Every signal counts, so leave out those that were replaced by later ones (`keep_last`). Metrics without a rule and
    values that are not finite do not count.

    Args:
        request_index: Request of each signal, 0..n_requests-1, shape (k,).
        metric_names: Metric of each signal, length k.
        values: Value of each signal, shape (k,).
        n_requests: Number of requests.
        rules: Metric name -> its rule.
        n_answers: Number of answers that each signal is about, at least 1, shape (k,). Such a signal counts once: its
            deviation s for each of the n answers has n (s^2 + v) = s_n^2 + v, with v the largest variance of a
            good-or-bad answer. None: each is about one answer.
        corrects_errors: Whether the share of wrong judgements is taken out, as `correct_errors` does. The mean of such
            rewards is the quality, but a single one may lie outside 0..1.

    Returns:
        `(reward, reward_std)`, both of shape (n_requests,); NaN without signals. The reward is in 0..1, unless errors
        are corrected.

    Raises:
        RewardError: The three differ in length, or an index is out of range.
    """
    index, measured = np.asarray(request_index, np.intp), np.asarray(values, np.float64)
    if not len(index) == len(metric_names) == len(measured):
        raise RewardError(
            f"{len(index)} requests, {len(metric_names)} metrics and {len(measured)} values are no signals"
        )
    if len(index) and not 0 <= index.min() <= index.max() < n_requests:
        raise RewardError(f"signals of requests {index.min()} to {index.max()}, but there are {n_requests}")
    codes, used = _codes(metric_names)
    table = np.array([_row(rules.get(name)) for name in used]).reshape(-1, 6)[codes]  # (k, 6)
    worst, best, worst_quality, best_quality, precision, wrong_share = table.T
    if n_answers is not None:
        with np.errstate(divide="ignore"):
            precision = 1 / (n_answers / precision + (n_answers - 1) * LARGEST_VARIANCE)
    with np.errstate(invalid="ignore"):
        share = np.clip((measured - worst) / (best - worst), 0.0, 1.0)
    quality = worst_quality + share * (best_quality - worst_quality)
    if corrects_errors:
        quality, precision = correct_errors(quality, wrong_share), precision * (1 - 2 * wrong_share) ** 2
    counts = (precision > 0) & np.isfinite(measured)
    index, quality, precision = index[counts], quality[counts], precision[counts]
    total = np.bincount(index, precision, minlength=n_requests).astype(np.float64)  # of an empty array: integers
    total[total == 0] = np.nan  # (n_requests,)
    reward = np.bincount(index, precision * quality, minlength=n_requests) / total
    return reward if corrects_errors else np.clip(reward, 0.0, 1.0), np.sqrt(1 / total)


def correct_errors(quality: Floats, wrong_share: Floats | float) -> Floats:
    """Return readings whose mean is the mean quality, from readings of which a share is the wrong way round.

    If a share w of the thumbs is wrong, the chance of a thumb up is 1/2 + (1 - 2 w) (P(good) - 1/2).

    Args:
        quality: Readings, 0..1, shape (k,).
        wrong_share: Share w, shape (k,) or one number.

    Returns:
        Readings, shape (k,), further from 1/2 and possibly outside 0..1.
    """
    return np.asarray(0.5 + (quality - 0.5) / (1 - 2 * wrong_share), np.float64)


def keep_last(
    request_index: Rows, metric_names: Names, given_by: Names, received_at: npt.NDArray[np.datetime64]
) -> Rows:
    """Return the places of the valid signals, ascending: the last of each giver, request and metric.

    Args:
        request_index, metric_names, given_by, received_at: The signals, each of length k. Of two at the same instant,
            the later one in the arrays is valid.

    Raises:
        RewardError: The four differ in length.
    """
    n_signals = len(request_index)
    if not n_signals == len(metric_names) == len(given_by) == len(received_at):
        raise RewardError("signals need a request, a metric, a giver and an instant each")
    if n_signals == 0:
        return np.empty(0, np.intp)
    keys = np.stack([np.asarray(request_index, np.intp), _codes(metric_names)[0], _codes(given_by)[0]])  # (3, k)
    order = np.lexsort((np.asarray(received_at), *keys))  # stable: equal instants stay in order
    sorted_keys = keys[:, order]
    is_last = np.append((sorted_keys[:, 1:] != sorted_keys[:, :-1]).any(axis=0), True)
    return np.sort(order[is_last])


def read_reward_rules(texts: Iterable[str]) -> dict[str, RewardRule]:
    """Return `REWARD_RULES` and the rules of texts in the form `name:worst:best:std`, such as `csat:1:10:0.3`.

    Raises:
        RewardError: A text is no rule; the message names it and shows the form.
    """
    rules = dict(REWARD_RULES)
    for text in texts:
        name, *numbers = text.split(":")
        try:
            worst, best, std = map(float, numbers)
        except ValueError:
            raise RewardError(f"{text!r} is no rule; write name:worst:best:std, such as csat:1:10:0.3") from None
        if not name:
            raise RewardError(f"{text!r} names no metric; write name:worst:best:std, such as csat:1:10:0.3")
        rules[name] = RewardRule(worst, best, 0.0, 1.0, std, "Given on the command line.")
    return rules


def _row(rule: RewardRule | None) -> tuple[float, float, float, float, float, float]:
    if rule is None:
        return 0.0, 1.0, 0.0, 0.0, 0.0, 0.0
    return rule.worst_value, rule.best_value, rule.worst_quality, rule.best_quality, rule.std**-2, rule.wrong_share


def _codes(words: Names) -> tuple[Rows, list[str]]:
    """Return each word's number, and the words by number; many times quicker than sorting a million strings."""
    plain = words.tolist() if isinstance(words, np.ndarray) else words
    numbers = {word: number for number, word in enumerate(dict.fromkeys(plain))}
    return np.fromiter(map(numbers.__getitem__, plain), np.intp, len(plain)), list(numbers)
