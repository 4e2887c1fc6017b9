"""Logs of an invented world in which the shipped bundle is wrong.

One model is worse than the bundle believes, one is better, and one is new to it.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from checkout import SHIPPED_BUNDLE
from fakes.tiny_corpus import tiny_tables

from bench.logged_traffic import LoggedTraffic, write_export
from router.context import RouteContext
from training.network.encoding import EncodedPrompts, encode_prompts
from training.retrain.challenger import beliefs_of
from training.retrain.champion import Champion, read_champion

OVERRATED, UNDERRATED, AS_BELIEVED, NEW = (
    "gpt-4o-2024-08-06",
    "llama-3.1-8b-instruct",
    "qwen2.5-72b-instruct",
    "acme/new",
)
NAMES = (OVERRATED, UNDERRATED, AS_BELIEVED, NEW)
_COST_USD = np.array([4e-3, 2e-4, 8e-4, 3e-4])
_ALIKE_COST_USD = np.array([5e-4, 4e-4, 5e-4, 4e-4])
"""Costs where accounts differ: what they find good decides, and not the bill."""
ACCOUNTS = ("acme", "globex")

Floats = npt.NDArray[np.float64]
Names = npt.NDArray[np.str_]
_WRONG_THUMBS = 0.11
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
    has_checks: bool = False,
    stopped: float = 0.0,
    new_model: str = NEW,
    seed: int = 0,
    bundle: Path = SHIPPED_BUNDLE,
) -> Path:
    """Write an export of requests; half of them are easy, half are hard.

    The new model answers easy requests well and hard ones badly.

    Args:
        folder: Folder to write to.
        n_requests: Number of requests.
        text_share: Share of requests with text.
        feedback: Share of requests that are judged.
        is_as_believed: Whether the beliefs of the shipped bundle are the truth.
        has_accounts: Whether conversations take turns between `ACCOUNTS`. For the second account the overrated and the
            underrated model change places.
        router_version: Version of the bundle that decided; empty: the shipped bundle.
        fails_lately: Name of a model whose answers all fail in the last fifth.
        has_checks: Whether feedback is as by default: thumbs, of which one in nine is wrong, and every answer is
            checked for a refusal, which is found in 1% of the good answers and 5% of the bad ones.
        stopped: Share of the bad answers that are stopped.
        new_model: Name of the new model.
        seed: Seed of all random draws.
        bundle: Bundle that decided.
    """
    random, rows = np.random.default_rng(seed), np.arange(n_requests)
    cost_usd = _ALIKE_COST_USD if has_accounts else _COST_USD
    champion = read_champion(bundle)
    texts, _ = tiny_tables(160, seed)
    drawn = random.integers(0, len(texts), n_requests)
    encoded = encode_prompts([RouteContext.from_prompt(text) for text in texts.prompt], champion.parts.table)
    quality, tokens = _beliefs(champion, encoded, drawn)
    account = np.array(ACCOUNTS)[rows // 2 % 2] if has_accounts else None
    truth = _truth(quality, drawn % 2 == 1, is_as_believed, account, fails_lately)
    probability = _probability(quality, cost_usd)
    chosen = (probability.cumsum(axis=1) > random.random((n_requests, 1))).argmax(axis=1)
    score = (random.random(n_requests) < truth[rows, chosen]).astype(np.float64)
    is_refusal = (random.random(n_requests) < np.where(score > 0, 0.01, 0.05)).astype(np.float64)
    is_wrong = random.random(n_requests) < _WRONG_THUMBS
    is_stopped = (random.random(n_requests) < stopped) & (score == 0)
    given = np.where(is_wrong, 1 - score, score) if has_checks else score
    prompts = [texts.prompt[row] if random.random() < text_share else None for row in drawn]
    traffic = LoggedTraffic(
        names=(*NAMES[:3], new_model),
        router_version=router_version or champion.bundle.version,
        started_at=_START_US + rows.astype(np.int64) * 60_000_000,
        conversation=rows // 2,
        prompts=prompts,
        features=encoded.features[drawn],
        prompt_tokens=np.full(n_requests, 30),
        quality=quality.astype(np.float32),
        completion_tokens=tokens.astype(np.float32),
        cost_usd=np.tile(cost_usd, (n_requests, 1)),
        probability=probability,
        chosen=chosen,
        reward=np.where(random.random(n_requests) < feedback, given, np.nan),
        answer_tokens=np.full(n_requests, 250.0),
        paid_usd=cost_usd[chosen],
        account=account,
        metric="thumbs" if has_checks else "score",
        checks={"refusal": is_refusal} if has_checks else {},
        outcome=np.where(is_stopped, "client_disconnected", "ok"),
    )
    half = n_requests // 2
    return write_export(folder, iter([traffic.rows(np.arange(half)), traffic.rows(np.arange(half, n_requests))]))


def _beliefs(champion: Champion, encoded: EncodedPrompts, drawn: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return (P(good answer), tokens) that the champion believes for each request and model, each of shape (n, 4)."""
    beliefs = beliefs_of(champion.parts, champion.parts.scaler.transform(encoded))
    columns = [champion.trained_names.index(name) for name in NAMES[:3]]
    quality = np.column_stack([beliefs.quality[drawn][:, columns], np.full(len(drawn), 0.4)])
    tokens = np.column_stack([beliefs.completion_tokens[drawn][:, columns], np.full(len(drawn), 300)])
    return quality, tokens


def _truth(
    quality: Floats, is_hard: npt.NDArray[np.bool_], is_as_believed: bool, account: Names | None, fails_lately: str
) -> Floats:
    """Return the true P(good answer) of each request and model, shape (n, 4)."""
    n = len(quality)
    truth = np.column_stack([np.full(n, 0.4), np.full(n, 0.9), quality[:, 2], np.where(is_hard, 0.05, 0.95)])
    truth = quality.copy() if is_as_believed else truth
    if account is not None:
        truth = np.where((account == ACCOUNTS[1])[:, None], truth[:, [1, 0, 2, 3]], truth)
    if fails_lately:
        truth[-n // 5 :, NAMES.index(fails_lately)] = 0
    return truth


def _probability(quality: Floats, cost_usd: Floats) -> Floats:
    """Return the chance of each lane, shape (n, 4): the lane that is believed best gets 0.55, the others 0.15."""
    best = (0.02 * quality - cost_usd).argmax(axis=1)
    probability = np.full((len(quality), 4), 0.15)
    probability[np.arange(len(quality)), best] += 0.4
    return probability
