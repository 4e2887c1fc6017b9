"""Simulates traffic from real beliefs and real grades: the graded answers in a bundle.

It uses prompts that a set of models all answered. A log is drawn from them with replacement. So the graded prompts are
the whole population, and the truth about a policy is known. Prices are invented: the better the model, the more
expensive. They decide what is compared, not whether the comparison is right.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from router.bundle import load_bundle
from router.log_odds import logit, sigmoid
from training.errors import SettingsError
from training.off_policy.traffic import Scenario, Traffic, World, log_world
from training.telemetry.logged_requests import Floats, LoggedRequests

N_LANES = 6
_LOWEST_USD_PER_MTOK, _HIGHEST_USD_PER_MTOK = 0.2, 12.0
_MS_PER_TOKEN = 10.0
_FEWEST_PROMPTS = 500


@dataclass(frozen=True, slots=True, eq=False)
class GradedPool:
    """`k` prompts and the grades of six models of different ability, the weakest first.

    Args:
        names: Names of the models.
        quality: Shape (k, 6), beliefs of networks that were not trained on the prompt or on similar ones.
        score: Shape (k, 6), grades, 0..1.
        tokens: Shape (k, 6), believed lengths of the answers.
        prompt_tokens, difficulty: Shape (k,), length and believed difficulty of each prompt.
    """

    names: tuple[str, ...]
    quality: Floats
    score: Floats
    tokens: Floats
    prompt_tokens: Floats
    difficulty: Floats


@lru_cache(8)
def read_pool(folder: Path, source: int) -> GradedPool:
    """Return the graded answers of a bundle to the prompts of one source.

    Args:
        folder: Folder of the bundle.
        source: Number of the source in the corpus.

    Raises:
        SettingsError: Too few of its prompts were answered by six models.
        router.errors.BundleError: The bundle is unusable.
    """
    bundle = load_bundle(folder)
    reference = bundle.read_reference()
    of_source = np.flatnonzero(reference.source == source)
    graded = ~np.isnan(reference.score[of_source])
    models = np.flatnonzero(graded.mean(axis=0) > 0.9) if len(of_source) else np.empty(0, np.intp)
    rows = of_source[graded[:, models].all(axis=1)]
    if len(models) < N_LANES or len(rows) < _FEWEST_PROMPTS:
        raise SettingsError(
            f"{folder}: {N_LANES} models answered fewer than {_FEWEST_PROMPTS} prompts of source {source}: use another "
            "source"
        )
    by_ability = models[np.argsort(reference.score[np.ix_(rows, models)].mean(axis=0), kind="stable")]
    chosen = by_ability[np.linspace(0, len(by_ability) - 1, N_LANES).round().astype(np.intp)]
    pool = np.ix_(rows, chosen)
    return GradedPool(
        tuple(bundle.trained_names[model] for model in chosen),
        reference.quality[pool].astype(np.float64),
        reference.score[pool].astype(np.float64),
        reference.completion_tokens[pool].astype(np.float64),
        reference.prompt_tokens[rows].astype(np.float64),
        reference.difficulty[rows].astype(np.float64),
    )


def replay(pool: GradedPool, scenario: Scenario, seed: int) -> tuple[Traffic, LoggedRequests]:
    """Return traffic with noisy logged beliefs, and the same requests with the pool's beliefs, as a challenger's.

    Args:
        pool: Prompts, beliefs and grades to draw from.
        scenario: Kind of traffic; `reception`, `belief_bias` and conversations have no effect here.
        seed: Seed of the random generator.
    """
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(pool.score), scenario.n_requests)
    quality, tokens, prompt_tokens = pool.quality[rows], pool.tokens[rows], pool.prompt_tokens[rows]
    rates = np.geomspace(_LOWEST_USD_PER_MTOK, _HIGHEST_USD_PER_MTOK, N_LANES) / 1e6
    cost = (prompt_tokens[:, None] / 5 + tokens) * rates
    latency = 300 + tokens * _MS_PER_TOKEN
    world = World(
        lane_ids=tuple(f"graded/{name}" for name in pool.names),
        conversation=np.arange(scenario.n_requests),
        prompt_tokens=prompt_tokens,
        features=np.column_stack([pool.difficulty[rows], np.log1p(prompt_tokens)]).astype(np.float32),
        chance=pool.score[rows],
        believed_quality=sigmoid(logit(quality) + rng.normal(0, scenario.belief_noise, quality.shape)),
        believed_tokens=tokens,
        believed_cost_usd=cost,
        believed_latency_ms=latency,
        tokens=tokens,
        cost_usd=cost,
        latency_ms=latency,
    )
    traffic = log_world(world, scenario, rng)
    return traffic, replace(traffic.logs, quality=quality.astype(np.float32))
