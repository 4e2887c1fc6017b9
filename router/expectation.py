"""What is expected of each lane for one request: quality, answer length, cost and latency, as columns."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.context import RouteContext
from router.lane_table import Floats, LaneTable
from router.quality_model import Prediction


@dataclass(frozen=True, slots=True)
class LaneState:
    """What is known of the lanes at this moment, given by whoever runs them; every array has shape (n_lanes,).

    Args:
        is_cooling: The lane's account rests after a limit or a failure.
        ttft_ms: Time to first token, milliseconds.
        ms_per_token: Time per output token, milliseconds.
    """

    is_cooling: npt.NDArray[np.bool_]
    ttft_ms: Floats
    ms_per_token: Floats

    @classmethod
    def unmeasured(cls, table: LaneTable) -> "LaneState":
        """Return the state before anything was observed: nothing cools, speeds are the typical ones."""
        return cls(np.zeros(len(table), dtype=np.bool_), table.typical_ttft_ms, table.typical_ms_per_token)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Beliefs about one request, per lane; every array has shape (n_lanes,).

    Args:
        quality: P(good answer), 0..1.
        quality_std: Standard deviation of that belief.
        completion_tokens: Expected output tokens.
        cost_usd: Expected cost in USD. A float, for ranking; bills are computed by `price_table.quote_cost`.
        latency_ms: Expected milliseconds to the whole answer.
    """

    quality: Floats
    quality_std: Floats
    completion_tokens: Floats
    cost_usd: Floats
    latency_ms: Floats


def expect_outcomes(table: LaneTable, prediction: Prediction, context: RouteContext, state: LaneState) -> Expectation:
    """Turn the quality model's beliefs about models into beliefs about lanes.

    A lane whose model was never trained on gets its prior averaged over its uncertainty,
    P = sigmoid((ability - difficulty) / sqrt(1 + pi/8 std^2)) (MacKay 1992, "The evidence framework applied to classification networks").
    """
    seen = table.trained_index
    quality = prediction.quality.take(seen).astype(np.float64)
    quality_std = prediction.quality_std.take(seen).astype(np.float64)
    tokens = prediction.completion_tokens.take(seen).astype(np.float64)
    if table.has_any_prior:
        unseen = table.has_prior_only
        prior, prior_std = _prior_quality(table, prediction.difficulty)
        quality = np.where(unseen, prior, quality)
        quality_std = np.where(unseen, prior_std, quality_std)
        tokens = np.where(unseen, prediction.typical_completion_tokens, tokens)
    if context.max_output_tokens is not None:
        tokens = np.minimum(tokens, context.max_output_tokens)
    input_rate, output_rate = table.rates_for(context.prompt_tokens)
    cost = context.prompt_tokens * input_rate + tokens * output_rate + table.request_usd
    return Expectation(quality, quality_std, tokens, cost, state.ttft_ms + tokens * state.ms_per_token)


def _prior_quality(table: LaneTable, difficulty: float) -> tuple[Floats, Floats]:
    quality = 1 / (1 + np.exp((difficulty - table.ability) * table.prior_steepness))
    return quality, quality * (1 - quality) * table.ability_std
