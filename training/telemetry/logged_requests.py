"""Logged requests as columns: what was known, what was drawn with which chance, and what came of it.

Bandit information: of each request only the drawn lane's outcome was seen. Everything that learns from logs, or judges on them, takes this.
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
    """`n` requests, by their drawn attempts in order of time, over `m` lanes.

    Args:
        lane_ids: The lanes, length m.
        trained_names: Of each lane, its name among a bundle's trained models; None: it was never trained on, or the log does not say.
        request_ids: Length n, unique.
        accounts, conversation_ids: Shape (n,); a request without a conversation is its own.
        started_at: Shape (n,), `datetime64[us]`, UTC, ascending.
        router_versions, policies: Shape (n,), of the bundle that predicted and the policy that drew.
        prompts: Length n; None where the text was not kept.
        features: Shape (n, n_features); NaN rows where they were not kept.
        features_version: Layout of `features`.
        prompt_tokens: Shape (n,); NaN where unknown.
        is_eligible: Shape (n, m); lanes that could have been drawn.
        quality, quality_std, completion_tokens, expected_cost_usd, expected_latency_ms: Shape (n, m), what was believed when it was
            decided; NaN where unknown.
        probability: Shape (n, m), of the behaviour policy; each row sums to 1.
        chosen: Shape (n,), the drawn lane's column.
        propensity: Shape (n,), in (0, 1]; the probability of `chosen`.
        willingness_to_pay_usd, quality_bar: Shape (n,), what the caller said; NaN where they did not.
        reward: Shape (n,), 0..1; NaN where nothing is known of the answer.
        reward_std: Shape (n,), of the reward; NaN with it.
        cost_usd, latency_ms, answer_tokens: Shape (n,), what it took, all attempts of the request for cost; NaN where unknown.
        is_answered: Shape (n,), whether the drawn lane gave a whole answer.
        belief_shift: Shape (n, m), what the gateway had learned online and added to the log odds of the bundle's belief: `quality` has it in it. None: nothing.
        max_output_tokens, quality_of_best: Shape (n,), the caller's limit on the answer, and the share of the best lane's quality that they wanted
            kept; NaN where they said nothing. None: the log does not say.
        price_snapshots: Shape (n,), of the table of prices. None: the log does not say.
        demotion: Shape (n, m), how far lanes were put back: one with a larger number came after all with a smaller one, whatever the policy thought of it.
            None: none was, or the log does not say.
        lane_book: What was noted of the lanes themselves. None: nothing.
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
    demotion: Int32s | None = None
    lane_book: LaneBook | None = None

    def __len__(self) -> int:
        return len(self.request_ids)

    def rows(self, chosen: Ints | Mask) -> Self:
        """Return these requests, over the same lanes."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        per_request = {
            name: values[chosen]
            for name, values in columns.items()
            if isinstance(values, np.ndarray) and name not in _PER_LANE
        }
        return type(self)(**(columns | per_request))

    def clusters(self) -> Ints:
        """Return the number of each request's conversation, shape (n,): requests of one are not independent."""
        keys = np.char.add(np.char.add(self.accounts, "\n"), self.conversation_ids)
        return np.asarray(np.unique(keys, return_inverse=True)[1], np.intp)
