"""Joins the parts of the evidence and splits it by time: for training, for calibrating and for the test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.retrain.settings import RetrainSettings
from training.retrain.work_folder import WorkFolder, read_arrays

Float16s = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Instants = npt.NDArray[np.int64]

TRAIN, CALIBRATE, TEST = 0, 1, 2
_OF_REQUESTS = ("conversation", "started_at")
_OF_JUDGED = (
    *(
        "request",
        "account",
        "router_version",
        "asked_at",
        "lane",
        "model",
        "believed",
        "reward",
        "reward_std",
        "propensity",
        "text_row",
    ),
    "judged_conversation",
)
_OF_LENGTHS = ("length_conversation", "length_model", "length_is_logged", "believed_tokens", "answer_tokens")
"""Small columns: of all requests, of the judged ones, and of the answers with a known length."""
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """`k` judged requests that can be learned from, in order of time, and `a` answers with a known length.

    The columns come from `evidence.gather_evidence`.

    Args:
        split: Shape (k,), `TRAIN`, `CALIBRATE` or `TEST`.
        request: Shape (k,), number of the request among all requests of the logs, in order of time.
        account: Shape (k,), names of the accounts.
        router_version: Shape (k,), versions of the bundles that decided.
        conversation: Shape (k,), hashes of `evidence.conversation_hashes`.
        asked_at: Shape (k,), start of each request, microseconds.
        lane: Shape (k,), columns of the logs' lanes.
        model: Shape (k,), columns of the models.
        believed: Shape (k,), logged P(good answer) of the lane, without what was learned online.
        reward, reward_std, propensity: Shape (k,), reward by judgements, its standard deviation, and probability of
            the drawn lane. The mean of many rewards is the quality; a single one may lie outside 0..1.
        logits: Shape (k, m), the champion's logits; memory-mapped.
        text_row: Shape (k,), row in `inputs`; -1: the text was not kept.
        inputs: Shape (t, n_inputs), inputs of the network; memory-mapped.
        length_split, length_model, believed_tokens, answer_tokens: Shape (a,), split, model, expected and true length
            of each answer.
        length_is_logged: Shape (a,), whether the expected length is in the log, as the champion said it.
        n_unusable: Number of judged requests that cannot be learned from: their text was not kept and another bundle
            decided them.
        test_conversations: Hashes of the test conversations, sorted.
        test_since: Start of the first test conversation, microseconds.
        n_requests: Number of all requests in the logs.
        first_at, last_at: Start of the first and of the last request, microseconds.
    """

    split: Ints
    request: Ints
    account: npt.NDArray[np.str_]
    router_version: npt.NDArray[np.str_]
    conversation: npt.NDArray[np.uint64]
    asked_at: Instants
    lane: Ints
    model: Ints
    believed: Floats
    reward: Floats
    reward_std: Floats
    propensity: Floats
    logits: Float16s
    text_row: Ints
    inputs: Float16s
    length_split: Ints
    length_model: Ints
    length_is_logged: Mask
    believed_tokens: Floats
    answer_tokens: Floats
    n_unusable: int
    test_conversations: npt.NDArray[np.uint64]
    test_since: int
    n_requests: int
    first_at: int
    last_at: int

    def __len__(self) -> int:
        return len(self.model)

    @property
    def has_text(self) -> Mask:
        """Whether the text of each request was kept, shape (k,)."""
        return self.text_row >= 0

    def with_columns(self, column: Ints) -> "Evidence":
        """Return the evidence with new model columns, `column[old]`; rows whose model becomes -1 are left out."""
        kept, counted = column[self.model] >= 0, column[self.length_model] >= 0
        rows = np.flatnonzero(kept)
        return replace(
            self,
            split=self.split[kept],
            request=self.request[kept],
            account=self.account[kept],
            router_version=self.router_version[kept],
            conversation=self.conversation[kept],
            asked_at=self.asked_at[kept],
            lane=self.lane[kept],
            believed=self.believed[kept],
            model=column[self.model[kept]],
            reward=self.reward[kept],
            reward_std=self.reward_std[kept],
            propensity=self.propensity[kept],
            logits=self.logits if kept.all() else self.logits[rows],
            text_row=self.text_row[kept],
            length_split=self.length_split[counted],
            length_model=column[self.length_model[counted]],
            length_is_logged=self.length_is_logged[counted],
            believed_tokens=self.believed_tokens[counted],
            answer_tokens=self.answer_tokens[counted],
        )

    def all_to_learn(self) -> "Evidence":
        """Return the evidence with all rows for training, none for calibrating and for the test."""
        return replace(self, split=np.full_like(self.split, TRAIN), length_split=np.full_like(self.length_split, TRAIN))

    def weights(self, rows: Ints, settings: RetrainSettings) -> Floats:
        """Return the weight of each of these rewards, shape (len(rows),).

        - An inexact reward has a smaller weight: v / (v + its variance), with v = 1/4, the largest variance of a
          good-or-bad answer.
        - A reward of a rarely drawn lane has a larger weight, up to `largest_weight` times. Over the rewards of each
          model these factors add up to the number of equal ones that tell as much: (sum w)^2 / sum w^2.
        - An old reward has a smaller weight, because the model may have changed since.
        """
        exactness = 0.25 / (0.25 + self.reward_std[rows] ** 2)
        rarity = np.minimum(1 / np.maximum(self.propensity[rows], 1e-6), settings.largest_weight)
        model = self.model[rows]
        total, squares = np.bincount(model, weights=rarity), np.bincount(model, weights=rarity**2)
        scale = total / np.maximum(squares, 1e-9)  # sum(scale * w) = (sum w)^2 / sum w^2
        return np.asarray(self._freshness(rows, settings) * exactness * rarity * scale[model], np.float64)

    def _freshness(self, rows: Ints, settings: RetrainSettings) -> Floats:
        if not settings.half_life_days:
            return np.ones(len(rows))
        return np.asarray(
            0.5 ** ((self.last_at - self.asked_at[rows]) / (settings.half_life_days * _DAY_US)), np.float64
        )


def assemble_evidence(
    parts: Sequence[Path], work: WorkFolder, settings: RetrainSettings, seen_until: int = -1
) -> Evidence:
    """Join the parts, which are in order of time; the large arrays lie in memory-mapped files of the work folder.

    Args:
        parts: Checkpoints of the parts.
        work: Work folder of the checkpoints.
        settings: Settings of the retraining.
        seen_until: Time until which the champion itself was learned from logs; see `split_conversations`.
    """
    joined = _join_small_columns(parts)
    columns, started = joined.columns, joined.columns["started_at"]
    conversations, first = _first_starts(columns["conversation"], started)
    split = split_conversations(first, settings, seen_until)

    def split_of(conversation: npt.NDArray[Any]) -> Ints:
        return split[np.searchsorted(conversations, conversation)]

    def each(name: str) -> Iterator[npt.NDArray[Any]]:
        return (read_arrays(path)[name] for path in parts)

    is_test = split == TEST
    return Evidence(
        split=split_of(columns["judged_conversation"]),
        request=columns["request"].astype(np.intp),
        account=columns["account"],
        router_version=columns["router_version"],
        conversation=columns["judged_conversation"],
        asked_at=columns["asked_at"],
        lane=columns["lane"].astype(np.intp),
        believed=columns["believed"].astype(np.float64),
        model=columns["model"].astype(np.intp),
        reward=columns["reward"].astype(np.float64),
        reward_std=columns["reward_std"].astype(np.float64),
        propensity=columns["propensity"].astype(np.float64),
        logits=work.joined("logits", lambda: each("logits"), joined.logits_shape),
        text_row=columns["text_row"].astype(np.intp),
        inputs=work.joined("inputs", lambda: each("inputs"), joined.inputs_shape),
        length_split=split_of(columns["length_conversation"]),
        length_model=columns["length_model"].astype(np.intp),
        length_is_logged=columns["length_is_logged"].astype(np.bool_),
        believed_tokens=columns["believed_tokens"].astype(np.float64),
        answer_tokens=columns["answer_tokens"].astype(np.float64),
        n_unusable=joined.n_unusable,
        test_conversations=conversations[is_test],
        test_since=int(first[is_test].min()) if is_test.any() else int(started.max()),
        n_requests=len(started),
        first_at=int(started.min()),
        last_at=int(started.max()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _JoinedParts:
    """All small columns of the parts, and the shapes of the large ones.

    Args:
        columns: Name of a column -> its values in all parts, in order.
        logits_shape, inputs_shape: Shapes of the joined `logits` and `inputs`.
        n_unusable: Number of judged requests that cannot be learned from.
    """

    columns: dict[str, npt.NDArray[Any]]
    logits_shape: tuple[int, int]
    inputs_shape: tuple[int, int]
    n_unusable: int


def _join_small_columns(parts: Sequence[Path]) -> _JoinedParts:
    """Read the parts one by one and join their small columns.

    Rows of `text_row` and `request` are renumbered, so that they count over all parts.
    """
    values: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in (*_OF_REQUESTS, *_OF_JUDGED, *_OF_LENGTHS)}
    n_requests, n_judged, n_texts, n_unusable = 0, 0, 0, 0
    n_logits, n_inputs = 0, 0
    for path in parts:
        arrays = read_arrays(path)
        conversation, row = arrays["conversation"], arrays["row"]
        arrays["text_row"] = np.where(arrays["text_row"] >= 0, arrays["text_row"] + n_texts, -1)
        arrays["request"] = n_requests + row
        arrays["asked_at"] = arrays["started_at"][row]
        arrays["judged_conversation"] = conversation[row]
        arrays["length_conversation"] = conversation[arrays["length_row"]]
        for name, of_parts in values.items():
            of_parts.append(arrays[name])
        n_requests += len(conversation)
        n_judged += len(row)
        n_texts += len(arrays["inputs"])
        n_unusable += int(arrays["n_unusable"].sum())
        n_logits, n_inputs = arrays["logits"].shape[1], arrays["inputs"].shape[1]
    columns = {name: np.concatenate(of_parts) for name, of_parts in values.items()}
    return _JoinedParts(columns, (n_judged, n_logits), (n_texts, n_inputs), n_unusable)


def split_conversations(first_starts: Instants, settings: RetrainSettings, seen_until: int = -1) -> Ints:
    """Return the split of each conversation by its start: the latest are for the test, those before for calibrating.

    Args:
        first_starts: Start of each conversation, microseconds.
        settings: Settings of the retraining, with the shares.
        seen_until: Time until which the champion itself was learned from logs, microseconds. The champion is not judged
            on conversations that it learned from, so fewer or none may be left for the test.
    """
    order = np.argsort(first_starts, kind="stable")
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    n_new = int((first_starts > seen_until).sum())
    test_from = len(order) - min(round(settings.test_share * len(order)), n_new)
    calibrate_from = test_from - round(settings.calibrate_share * len(order))
    return np.where(rank >= test_from, TEST, np.where(rank >= calibrate_from, CALIBRATE, TRAIN)).astype(np.intp)


def _first_starts(
    conversation: npt.NDArray[np.uint64], started_at: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the hashes of the conversations, sorted, and the start of each."""
    numbers, place = np.unique(conversation, return_inverse=True)
    first = np.full(len(numbers), np.iinfo(np.int64).max)
    np.minimum.at(first, place, started_at)
    return numbers, first
