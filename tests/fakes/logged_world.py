"""Logs of a made-up world in which the shipped bundle is wrong: what it thinks good fails, what it thinks weak is good, and one model is new to it."""

from pathlib import Path

import numpy as np
from checkout import SHIPPED_BUNDLE
from fakes.tiny_corpus import tiny_tables

from bench.logged_traffic import LoggedTraffic, write_export
from router.context import RouteContext
from training.network.encoding import encode_prompts
from training.retrain.challenger import beliefs_of
from training.retrain.champion import read_champion

OVERRATED, UNDERRATED, AS_BELIEVED, NEW = (
    "gpt-4o-2024-08-06",
    "llama-3.1-8b-instruct",
    "qwen2.5-72b-instruct",
    "acme/new",
)
NAMES = (OVERRATED, UNDERRATED, AS_BELIEVED, NEW)
_COST_USD = np.array([4e-3, 2e-4, 8e-4, 3e-4])
ACCOUNTS = ("acme", "globex")
_START_US = 1_780_000_000_000_000


def write_logs(
    folder: Path,
    n_requests: int,
    *,
    text_share: float,
    feedback: float = 0.7,
    is_as_believed: bool = False,
    has_accounts: bool = False,
    router_version: str = "",
    fails_lately: str = "",
    seed: int = 0,
) -> Path:
    """Write an export of requests that are half easy, half hard; the new model answers the easy ones well and the hard ones badly.

    Args:
        folder: To write to.
        n_requests: How many.
        text_share: Of requests whose text is kept.
        feedback: Share of requests that are judged.
        is_as_believed: The shipped bundle is right, in truth.
        has_accounts: Conversations take turns between `ACCOUNTS`, of whom the second one finds good what the first one finds bad.
        router_version: Who decided; empty: the shipped bundle.
        fails_lately: A model that only fails in the last fifth.
        seed: Of all that is drawn.
    """
    random = np.random.default_rng(seed)
    champion = read_champion(SHIPPED_BUNDLE)
    texts, _ = tiny_tables(160, seed)
    encoded = encode_prompts([RouteContext.from_prompt(text) for text in texts.prompt], champion.parts.table)
    beliefs = beliefs_of(champion.parts, champion.parts.scaler.transform(encoded))
    drawn = random.integers(0, len(texts), n_requests)
    columns = [champion.trained_names.index(name) for name in NAMES[:3]]
    quality = np.column_stack([beliefs.quality[drawn][:, columns], np.full(n_requests, 0.4)])
    tokens = np.column_stack([beliefs.completion_tokens[drawn][:, columns], np.full(n_requests, 300)])
    is_hard = drawn % 2 == 1
    truth = np.column_stack(
        [np.full(n_requests, 0.4), np.full(n_requests, 0.9), quality[:, 2], np.where(is_hard, 0.05, 0.95)]
    )
    truth = quality if is_as_believed else truth
    account = np.array(ACCOUNTS)[np.arange(n_requests) // 2 % 2] if has_accounts else None
    if account is not None:
        truth = np.where((account == ACCOUNTS[1])[:, None], truth[:, [1, 0, 2, 3]], truth)
    if fails_lately:
        truth[-n_requests // 5 :, NAMES.index(fails_lately)] = 0
    best = (0.02 * quality - _COST_USD).argmax(axis=1)
    probability = np.full((n_requests, 4), 0.15)
    probability[np.arange(n_requests), best] += 0.4
    chosen = (probability.cumsum(axis=1) > random.random((n_requests, 1))).argmax(axis=1)
    rows = np.arange(n_requests)
    score = (random.random(n_requests) < truth[rows, chosen]).astype(np.float64)
    prompts = [texts.prompt[row] if random.random() < text_share else None for row in drawn]
    traffic = LoggedTraffic(
        names=NAMES,
        router_version=router_version or champion.bundle.version,
        started_at=_START_US + rows.astype(np.int64) * 60_000_000,
        conversation=rows // 2,
        prompts=prompts,
        features=encoded.features[drawn],
        prompt_tokens=np.full(n_requests, 30),
        quality=quality.astype(np.float32),
        completion_tokens=tokens.astype(np.float32),
        cost_usd=np.tile(_COST_USD, (n_requests, 1)),
        probability=probability,
        chosen=chosen,
        reward=np.where(random.random(n_requests) < feedback, score, np.nan),
        answer_tokens=np.full(n_requests, 250.0),
        paid_usd=_COST_USD[chosen],
        account=account,
    )
    half = n_requests // 2
    return write_export(folder, iter([traffic.rows(np.arange(half)), traffic.rows(np.arange(half, n_requests))]))
