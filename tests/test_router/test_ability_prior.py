"""Price and family say something of a model's ability, and no more than the trained models support."""

import math

import numpy as np
import pytest

from router.ability_prior import AbilityPrior, family_of

RNG = np.random.default_rng(0)
NAMES = [f"{family}-{number}b" for family in ("llama", "claude", "gpt", "qwen") for number in range(8)]
PRICES = np.exp(RNG.uniform(-2, 3, len(NAMES)))
SURPLUS = {"llama": -0.5, "claude": 0.6, "gpt": 0.0, "qwen": 0.2}
ABILITIES = [0.4 * math.log(price) + SURPLUS[family_of(name)] for name, price in zip(NAMES, PRICES, strict=True)]


def fitted() -> AbilityPrior:
    prior = AbilityPrior.fit(NAMES, ABILITIES, PRICES.tolist())
    assert prior is not None
    return prior


def test_a_more_expensive_model_is_expected_to_be_better_and_a_generous_family_too() -> None:
    prior = fitted()
    assert prior.of("acme/new-model", 20) > prior.of("acme/new-model", 0.2)
    assert prior.of("anthropic/claude-9", 3) > prior.of("acme/new-model", 3) > prior.of("meta-llama/llama-9", 3)
    assert prior.of("qwen/qwen-9", 3) == pytest.approx(0.4 * math.log(3) + 0.2, abs=0.2)


def test_the_stated_error_is_that_on_models_left_out() -> None:
    assert fitted().std < 0.3
    noisy = AbilityPrior.fit(NAMES, RNG.normal(0, 1, len(NAMES)).tolist(), PRICES.tolist())
    assert noisy is not None
    assert noisy.std > 0.7


def test_with_few_priced_models_there_is_no_prior() -> None:
    prices = [float("nan")] * (len(NAMES) - 7) + [1.0] * 7
    assert AbilityPrior.fit(NAMES, ABILITIES, prices) is None


@pytest.mark.parametrize(
    ("name", "family"),
    [("meta-llama/Llama-4-Scout", "llama"), ("gpt-5.5", "gpt"), ("01-ai/yi-large", "yi"), ("7b", "")],
)
def test_a_family_is_the_first_word_of_the_bare_name(name: str, family: str) -> None:
    assert family_of(name) == family
