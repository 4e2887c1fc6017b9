"""The gain of soft choices, against choices made by hand."""

import numpy as np
import pytest
import torch

from training.corpus.routing_measures import Pool
from training.network.regret import expected_gain, price_pools

LEAST_TRADE = 10.0


def pool(cost: list[list[float]], score: list[list[float]], *, has_tokens: bool = False) -> Pool:
    n, m = np.shape(score)
    zeros = np.zeros((n, m))
    names = tuple(f"model-{number}" for number in range(m))
    return Pool(
        "exam", names, np.arange(n), np.arange(m), np.array(score), np.array(cost), zeros, np.full(m, 1e-6), has_tokens
    )


def gain_of(pool: Pool, logits: list[list[float]], log_tokens: float = 0.0, temperature: float = 1e-4) -> torch.Tensor:
    torch.manual_seed(0)
    n = len(pool.rows)
    (priced,) = price_pools([pool], np.arange(n), n)
    at = torch.tensor(logits).reshape(1, n, -1).requires_grad_()
    gain = expected_gain(priced, torch.arange(n), at, torch.full_like(at, log_tokens), temperature)
    assert gain is not None
    gain.backward()  # type: ignore[no-untyped-call]
    assert at.grad is not None
    assert bool(torch.isfinite(at.grad).all())
    return gain.detach()


def test_free_answers_go_to_the_model_that_is_believed_best() -> None:
    free = pool([[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]])
    assert float(gain_of(free, [[3.0, -3.0], [-3.0, 3.0]])) == pytest.approx(1)
    assert float(gain_of(free, [[-3.0, 3.0], [3.0, -3.0]])) == pytest.approx(0)


def test_of_two_that_are_equally_good_the_cheaper_is_taken() -> None:
    dear = pool([[0.0, 1e-2]], [[1.0, 1.0]])
    assert float(gain_of(dear, [[2.0, 2.0]])) == pytest.approx(1)


def test_costs_are_believed_from_predicted_tokens_and_paid_as_they_were() -> None:
    wrong = pool([[1e-3, 0.0]], [[1.0, 0.0]], has_tokens=True)
    wrong.output_usd[:] = [0.0, 1e-1]  # the second is believed dear, though it was free
    gain = float(gain_of(wrong, [[0.0, 0.0]], log_tokens=8.0))
    assert gain <= 1 - LEAST_TRADE * 1e-3


def test_a_batch_without_prompts_of_the_pool_gains_nothing() -> None:
    (priced,) = price_pools([pool([[0.0, 0.0]], [[1.0, 0.0]])], np.array([1, 2]), 3)
    logits = torch.zeros(1, 2, 2)
    assert expected_gain(priced, torch.tensor([0, 1]), logits, logits, 0.1) is None
