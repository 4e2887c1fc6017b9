"""Turns a part of the log into evidence: which model answered how well, the champion's logits, and lengths of answers.

Text is read here only. The evidence keeps the network's inputs and no text.
"""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from router.context import RouteContext
from router.features import FEATURE_NAMES, FEATURES_VERSION, extract_features
from router.text_window import cut_to_window, estimate_tokens
from router.tokenizer import WordPieceTokenizer
from training.bundle.export_onnx import GraphParts
from training.network.calibration import LONGEST_LOG_TOKENS
from training.network.encoding import EncodedPrompts
from training.retrain.fused_network import run_heads
from training.retrain.lane_models import LaneModels
from training.telemetry.logged_requests import LoggedRequests

Arrays = dict[str, npt.NDArray[Any]]
Float16s = npt.NDArray[np.float16]
Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_LEAST_CHANCE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class ChampionView:
    """The champion as reading the logs needs it; small enough to be sent to another machine.

    Args:
        version: Version of the bundle, as logged.
        parts: Parts of its graph.
        models: Models of the lanes in the logs.
    """

    version: str
    parts: GraphParts
    models: LaneModels


def gather_evidence(logs: LoggedRequests, view: ChampionView) -> Arrays:
    """Return the evidence in one part of a log, as arrays.

    - Of all `n` requests: `conversation` (n,) uint64 and `started_at` (n,) microseconds.
    - Of the `k` judged requests that can be learned from, because their text was kept or the logged beliefs are the
      champion's: `row` (k,) in the part, `account`, `router_version`, `lane`, `model`, `believed`, `reward`,
      `reward_std`, `propensity`, the champion's `logits` (k, m), float16 with NaN for unknown, and `text_row` (k,), the
      row in `inputs` (t, n_inputs), -1 if the text was not kept.
    - `n_unusable` (1,): the number of judged requests that cannot be learned from.
    - Of the `a` answers with a known length and a predicted one: `length_row`, `length_model`, `believed_tokens`,
      `answer_tokens` (a,), and `length_is_logged` (a,): the predicted one is the champion's own in the log.
    """
    torch.set_num_threads(1)  # sums depend on the number of threads, and every process has to give the same arrays
    model = view.models.of_lane[logs.chosen]
    has_text = np.array([isinstance(prompt, str) and bool(prompt.strip()) for prompt in logs.prompts], np.bool_)
    is_own = logs.router_versions == view.version
    is_seen = logs.is_answered if logs.is_seen is None else logs.is_seen
    is_judged = np.isfinite(logs.reward) & is_seen & (model >= 0)
    used = np.flatnonzero(is_judged & (has_text | is_own))
    with_text = used[has_text[used]]
    chosen = np.arange(len(logs)), logs.chosen
    logits = logged_logits(logs.rows(used), view)
    inputs = encode_requests(logs, with_text, view.parts)
    text_row = np.full(len(used), -1, np.int64)
    text_row[has_text[used]] = np.arange(len(with_text))
    logits[~is_own[used]] = np.nan
    heads = run_heads(view.parts, inputs.astype(np.float32)).mean(axis=1)
    logits[has_text[used]] = heads[:, : view.parts.n_models]
    tokens = np.where(is_own, logs.completion_tokens[chosen], np.nan).astype(np.float64)
    tokens[with_text] = _believed_tokens(heads, model[with_text], view.parts.n_models)
    counted = np.flatnonzero(
        logs.is_answered & (model >= 0) & (logs.answer_tokens > 0) & np.isfinite(tokens) & (tokens > 0)
    )
    is_logged = is_own.copy()
    is_logged[with_text] = False
    return {
        "conversation": conversation_hashes(logs),
        "started_at": logs.started_at.astype("datetime64[us]").astype(np.int64),
        "row": used,
        "n_unusable": np.array([is_judged.sum() - len(used)]),
        "account": logs.accounts[used],
        "router_version": logs.router_versions[used],
        "lane": logs.chosen[used].astype(np.int32),
        "model": model[used].astype(np.int32),
        "believed": _without_shift(logs)[chosen][used].astype(np.float32),
        "reward": logs.reward[used].astype(np.float32),
        "reward_std": np.nan_to_num(logs.reward_std[used]).astype(np.float32),
        "propensity": logs.propensity[used].astype(np.float32),
        "logits": logits.astype(np.float16),
        "text_row": text_row,
        "inputs": inputs,
        "length_row": counted,
        "length_model": model[counted].astype(np.int32),
        "length_is_logged": is_logged[counted],
        "believed_tokens": tokens[counted].astype(np.float32),
        "answer_tokens": logs.answer_tokens[counted].astype(np.float32),
    }


def logged_logits(logs: LoggedRequests, view: ChampionView) -> Floats:
    """Return the logged beliefs as logits of the champion's models (n, m), without what was learned online.

    A model without a logged belief about one of its lanes has NaN.
    """
    logits = np.full((len(logs), view.parts.n_models), np.nan)
    chance = _without_shift(logs)
    of_lanes = np.log(chance / (1 - chance))
    for lane, column in enumerate(view.models.of_lane):
        if 0 <= column < view.parts.n_models:
            is_new = np.isnan(logits[:, column])
            logits[is_new, column] = of_lanes[is_new, lane]
    return logits


def _without_shift(logs: LoggedRequests) -> Floats:
    """Return the logged P(good answer), shape (n, lanes), without what was learned online."""
    chance = np.clip(logs.quality.astype(np.float64), _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    if logs.belief_shift is None:
        return chance
    odds = np.exp(-logs.belief_shift)
    return np.asarray(chance * odds / (1 - chance + chance * odds), np.float64)


def _believed_tokens(heads: Float32s, model: Ints, n_models: int) -> Floats:
    """Return the champion's expected length of each request's answer, shape (len(model),).

    For a new model it is the mean over the champion's models.
    """
    tokens = np.exp(heads[:, n_models : 2 * n_models].astype(np.float64).clip(0, LONGEST_LOG_TOKENS))
    is_known = model < n_models
    own = tokens[np.arange(len(model)), np.where(is_known, model, 0)]
    return np.asarray(np.where(is_known, own, tokens.mean(axis=1)), np.float64)


def encode_requests(logs: LoggedRequests, rows: Ints, parts: GraphParts) -> Float16s:
    """Return the network's inputs (len(rows), n_inputs) of requests whose text was kept, as serving computes them."""
    tokenizer = WordPieceTokenizer.from_bytes(parts.table.tokenizer_json, Path("tokenizer.json"))
    embeddings = np.zeros((len(rows), parts.table.rows.shape[1]), np.float32)
    features = np.zeros((len(rows), len(FEATURE_NAMES)), np.float32)
    has_features = logs.features_version == FEATURES_VERSION and logs.features.shape[1] == len(FEATURE_NAMES)
    for place, row in enumerate(rows):
        text = cut_to_window(str(logs.prompts[row]))
        embeddings[place] = parts.table.embed(tokenizer.encode(text))
        if has_features and np.isfinite(logs.features[row, 0]):
            features[place] = logs.features[row]
        else:
            length = len(str(logs.prompts[row]))
            features[place] = extract_features(RouteContext(text, length, estimate_tokens(length)))[0]
    return parts.scaler.transform(EncodedPrompts((), embeddings, features)).astype(np.float16)


def conversation_hashes(logs: LoggedRequests) -> npt.NDArray[np.uint64]:
    """Return a hash of each request's conversation, shape (n,); it is the same in every part and process."""
    names, place = np.unique(np.char.add(np.char.add(logs.accounts, "\n"), logs.conversation_ids), return_inverse=True)
    numbers = [int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") for name in names.tolist()]
    return np.array(numbers, np.uint64)[place]
