"""Logged requests as columns: the beliefs at decision time, the draw with its probability, and the outcome.

This is bandit information: the log has the outcome of the drawn lane only. All learning and judging on logs uses it.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from training.telemetry.lane_book import LaneBook

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
Int32s = npt.NDArray[np.int32]

_PER_LANE = frozenset({"lane_ids", "trained_names"})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LoggedRequests:
    """`n` requests, one row for each drawn attempt in order of time, over `m` lanes.

    Args:
        lane_ids: Lane ids, length m.
        trained_names: Name of each lane's model among a bundle's trained models, length m; None: the model was never
            trained on, or the log does not say.
        request_ids: Request ids, length n, unique.
        accounts, conversation_ids: Shape (n,); a request outside a conversation is a conversation of its own.
        started_at: Shape (n,), `datetime64[us]`, UTC, ascending.
        router_versions, policies: Shape (n,), bundle that predicted and policy that drew.
        prompts: Texts, length n; None if the text was not kept.
        features: Shape (n, n_features); NaN rows for requests whose features were not kept.
        features_version: Layout of `features`.
        prompt_tokens: Shape (n,); NaN where unknown.
        is_eligible: Shape (n, m), whether the lane could have been drawn.
        quality, quality_std, completion_tokens, expected_cost_usd, expected_latency_ms: Shape (n, m), beliefs at
            decision time; NaN where unknown.
        probability: Shape (n, m), probabilities of the behaviour policy; each row sums to 1.
        chosen: Shape (n,), column of the drawn lane.
        propensity: Shape (n,), in (0, 1]; the probability of `chosen`.
        willingness_to_pay_usd, quality_bar: Shape (n,), values that the caller sent; NaN if the caller sent none.
        reward: Shape (n,), 0..1; NaN if the answer was not judged.
        reward_std: Shape (n,), standard deviation of the reward; NaN with it.
        cost_usd, latency_ms, answer_tokens: Shape (n,), measured values. The cost is of all attempts of the request,
            the latency from the first call upstream to the end of the last, the tokens those of the drawn lane. NaN
            where unknown.
        is_answered: Shape (n,), whether the drawn lane gave a whole answer.
        belief_shift: Shape (n, m), shift of the log odds that the gateway learned online and added to the bundle's
            belief; `quality` includes it. None: no shift.
        max_output_tokens, quality_of_best: Shape (n,), the caller's limit on the answer, and the share of the best
            lane's quality that the caller wanted to keep; NaN if the caller sent none. None: the log does not say.
        price_snapshots: Shape (n,), ids of the price tables. None: the log does not say.
        fallback_tier: Shape (n, m), tier of each lane: a lane of a larger tier came after all lanes of a smaller one,
            whatever its utility. None: all lanes were in tier 0, or the log does not say.
        reasoning_tokens: Shape (n,), part of `answer_tokens` that was reasoning; NaN where unknown. Exports before
            version 5 have 0 there too. None: the log does not say.
        lane_book: Notes about the lanes themselves. None: there are no notes.
        is_seen: Shape (n,), whether the caller has seen the drawn lane's answer, in whole or in part. None: those that
            are answered.
        lane_shift: Shape (n, m), part of `belief_shift` that was learned of the lanes; the rest is the account's
            correction. None: the log does not say.
        caller_reward, caller_reward_std: Shape (n,), reward of what the caller got, whichever lane gave it, and its
            standard deviation: 0 if no lane gave a whole answer, NaN if the answer was not judged. None: the drawn lane
            answered every request, so it is `reward`.
        has_failed: Shape (n,), whether the caller waited and got no whole answer. None: no request failed.
    """

    lane_ids: tuple[str, ...]
    trained_names: tuple[str | None, ...]
    request_ids: npt.NDArray[np.str_]
    accounts: npt.NDArray[np.str_]
    conversation_ids: npt.NDArray[np.str_]
    started_at: npt.NDArray[np.datetime64]
    router_versions: npt.NDArray[np.str_]
    policies: npt.NDArray[np.str_]
    prompts: npt.NDArray[np.object_]
    features: Float32s
    features_version: int
    prompt_tokens: Floats
    is_eligible: Mask
    quality: Float32s
    quality_std: Float32s
    completion_tokens: Float32s
    expected_cost_usd: Float32s
    expected_latency_ms: Float32s
    probability: Float32s
    chosen: Ints
    propensity: Floats
    willingness_to_pay_usd: Floats
    quality_bar: Floats
    reward: Floats
    reward_std: Floats
    cost_usd: Floats
    latency_ms: Floats
    answer_tokens: Floats
    is_answered: Mask
    belief_shift: Float32s | None = None
    max_output_tokens: Floats | None = None
    quality_of_best: Floats | None = None
    price_snapshots: npt.NDArray[np.str_] | None = None
    fallback_tier: Int32s | None = None
    reasoning_tokens: Floats | None = None
    lane_book: LaneBook | None = None
    is_seen: Mask | None = None
    lane_shift: Float32s | None = None
    caller_reward: Floats | None = None
    caller_reward_std: Floats | None = None
    has_failed: Mask | None = None

    def __len__(self) -> int:
        return len(self.request_ids)

    @property
    def outcome_reward(self) -> Floats:
        """Reward of what the caller got, shape (n,), 0..1: the outcome of the draw. NaN if it is unknown."""
        return np.where(self.is_answered, self.reward, np.nan) if self.caller_reward is None else self.caller_reward

    @property
    def outcome_reward_std(self) -> Floats:
        """Standard deviation of `outcome_reward`, shape (n,)."""
        return self.reward_std if self.caller_reward_std is None else self.caller_reward_std

    @property
    def failures(self) -> Mask:
        """Whether the caller waited and got no whole answer, shape (n,)."""
        return np.zeros(len(self), np.bool_) if self.has_failed is None else self.has_failed

    def rows(self, chosen: Ints | Mask) -> Self:
        """Return the chosen requests, over the same lanes."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        per_request = {
            name: values[chosen]
            for name, values in columns.items()
            if isinstance(values, np.ndarray) and name not in _PER_LANE
        }
        return type(self)(**(columns | per_request))

    def clusters(self) -> Ints:
        """Return the number of each request's conversation, shape (n,).

        Requests of one conversation are not independent of each other.
        """
        keys = np.char.add(np.char.add(self.accounts, "\n"), self.conversation_ids)
        return np.asarray(np.unique(keys, return_inverse=True)[1], np.intp)
