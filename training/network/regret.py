"""The gain of soft choices between priced models: a loss that looks at the decision, not at one model at a time.

For a prompt and a price of a score point, the router takes the model with the best quality minus believed cost. The
softened choice (a softmax of that difference) is differentiable. Fitting increases its expected gain, score minus cost,
in the spirit of decision-focused learning (Wilder, Dilkina and Tambe 2019, "Melding the data-decisions pipeline"). Each
prompt draws a new price in every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.corpus.routing_measures import Pool
from training.network.calibration import LONGEST_LOG_TOKENS

_LEAST_LOG_TRADE, _GREATEST_LOG_TRADE = 1.0, 5.0
"""Range of log10 of the price, in score points per USD; real choices between models change within it."""


@dataclass(frozen=True, slots=True, eq=False)
class PricedPool:
    """One pool as tensors, over all `n` prompts of a fit; `p` models.

    Args:
        columns: Shape (p,); columns of the models.
        is_member: Shape (n,); whether the prompt belongs to the pool.
        score: Shape (n, p), 0..1.
        cost: Shape (n, p), USD; cost of the answers that were given.
        prompt_cost: Shape (n, p), USD; cost of the input.
        output_usd: Shape (p,), USD per completion token; zeros if lengths are not given: then the cost is known.
    """

    columns: Tensor
    is_member: Tensor
    score: Tensor
    cost: Tensor
    prompt_cost: Tensor
    output_usd: Tensor


def price_pools(pools: Sequence[Pool], rows: npt.NDArray[np.intp], n_prompts: int) -> list[PricedPool]:
    """Return the pools as tensors for a fit to these `rows` of a corpus with `n_prompts` prompts."""
    return [_as_tensors(pool, rows, n_prompts) for pool in pools]


def expected_gain(
    pool: PricedPool, chosen: Tensor, logits: Tensor, log_tokens: Tensor, temperature: float
) -> Tensor | None:
    """Return the mean gain of soft choices, in score points; None if no chosen prompt belongs to the pool.

    Args:
        pool: The models to choose from.
        chosen: Shape (batch,); rows of the fit.
        logits, log_tokens: Shape (members, batch, m); outputs of the network. No gradient flows through the costs.
        temperature: Score points by which a choice may be worse and still be taken now and then.
    """
    mine = pool.is_member[chosen]
    if not bool(mine.any()):
        return None
    rows = chosen[mine]
    quality = torch.sigmoid(logits[:, mine][:, :, pool.columns])
    with torch.no_grad():
        tokens = torch.expm1(log_tokens[:, mine][:, :, pool.columns].clamp(0, LONGEST_LOG_TOKENS))
        is_priced = bool(pool.output_usd.any())
        believed = (
            pool.prompt_cost[rows] + tokens * pool.output_usd if is_priced else pool.cost[rows].expand_as(quality)
        )
        exponent = torch.rand(1, len(rows), 1) * (_GREATEST_LOG_TRADE - _LEAST_LOG_TRADE) + _LEAST_LOG_TRADE
        trade = 10**exponent
        gain = (pool.score[rows] - trade * pool.cost[rows]).clamp(min=-1)
    choice = ((quality - trade * believed) / temperature).softmax(dim=-1)
    return (choice * gain).sum(dim=-1).mean()


def _as_tensors(pool: Pool, rows: npt.NDArray[np.intp], n_prompts: int) -> PricedPool:
    place = np.full(n_prompts, -1)
    place[pool.rows] = np.arange(len(pool.rows))
    pool_row = place[rows]

    def tensor(values: npt.NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.where(pool_row[:, None] >= 0, values[pool_row], 0).astype(np.float32))

    output_usd = pool.output_usd if pool.has_tokens else np.zeros_like(pool.output_usd)
    return PricedPool(
        torch.from_numpy(pool.columns.astype(np.int64)),
        torch.from_numpy(pool_row >= 0),
        tensor(pool.score),
        tensor(pool.cost),
        tensor(pool.prompt_cost),
        torch.from_numpy(output_usd.astype(np.float32)),
    )
