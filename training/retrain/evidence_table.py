"""The parts of the evidence put together, and split by time: what is learned from, what is calibrated on, and what nobody learned from."""

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
_SMALL = ("account", "lane", "model", "believed", "reward", "reward_std", "propensity", "text_row")
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """`k` judged requests that can be learned from, in order of time, and `a` answers of known length; see `evidence.gather_evidence`.

    Args:
        split: Shape (k,), `TRAIN`, `CALIBRATE` or `TEST`.
        request: Shape (k,), the request's place among all requests of the logs, in order of time.
        account: Shape (k,), names.
        asked_at: Shape (k,), when each request was made, microseconds.
        lane: Shape (k,), columns of the logs' lanes.
        model: Shape (k,), columns of the models.
        believed: Shape (k,), P(good answer) of the lane as it was logged, without what was learned online.
        reward, reward_std, propensity: Shape (k,).
        logits: Shape (k, m), the champion's; memory-mapped.
        text_row: Shape (k,), place in `inputs`; -1: the text was not kept.
        inputs: Shape (t, n_inputs), memory-mapped.
        length_split, length_model, believed_tokens, answer_tokens: Shape (a,).
        n_unusable: Judged requests that cannot be learned from, for their text was not kept and another bundle decided them.
        test_conversations: Numbers of the conversations that nothing is learned from, sorted.
        test_since: When the first of them began, microseconds.
        n_requests: All requests of the logs.
        first_at, last_at: When the first and the last of all requests began, microseconds.
    """

    split: Ints
    request: Ints
    account: npt.NDArray[np.str_]
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
        """Whether the text was kept, shape (k,)."""
        return self.text_row >= 0

    def with_columns(self, column: Ints) -> "Evidence":
        """Return the evidence with other columns for the models: `column[old]`; rows of models that become -1 are left out."""
        kept, counted = column[self.model] >= 0, column[self.length_model] >= 0
        rows = np.flatnonzero(kept)
        return replace(
            self,
            split=self.split[kept],
            request=self.request[kept],
            account=self.account[kept],
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
            believed_tokens=self.believed_tokens[counted],
            answer_tokens=self.answer_tokens[counted],
        )

    def all_to_learn(self) -> "Evidence":
        """Return the evidence with nothing kept back for calibrating and judging."""
        return replace(self, split=np.full_like(self.split, TRAIN), length_split=np.full_like(self.length_split, TRAIN))

    def weights(self, rows: Ints, settings: RetrainSettings) -> Floats:
        """Return how much each of these rewards counts, shape (len(rows),).

        An inexact reward counts for less, as the variance of a good-or-bad answer (at most 1/4) is to that and the reward's own. One that
        the behaviour policy seldom drew counts for more, up to `largest_weight` times, and the mean over each model's rewards stays what it was.
        An old one counts for less: what it was about may have changed since.
        """
        exactness = 0.25 / (0.25 + self.reward_std[rows] ** 2)
        rarity = np.minimum(1 / np.maximum(self.propensity[rows], 1e-6), settings.largest_weight)
        model = self.model[rows]
        counts = np.maximum(np.bincount(model), 1)
        mean = np.bincount(model, weights=rarity) / counts
        return np.asarray(
            self._freshness(rows, settings) * exactness * rarity / np.maximum(mean[model], 1e-9), np.float64
        )

    def _freshness(self, rows: Ints, settings: RetrainSettings) -> Floats:
        if not settings.half_life_days:
            return np.ones(len(rows))
        return np.asarray(
            0.5 ** ((self.last_at - self.asked_at[rows]) / (settings.half_life_days * _DAY_US)), np.float64
        )


def assemble_evidence(
    parts: Sequence[Path], work: WorkFolder, settings: RetrainSettings, seen_until: int = -1
) -> Evidence:
    """Put the parts (in order of time) together; what is large lies in memory-mapped files of the work folder.

    Args:
        parts: Checkpoints of what was read.
        work: Where they lie.
        settings: Of the retraining.
        seen_until: As for `split_conversations`.
    """
    small: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in (*_SMALL, "length_model", "believed_tokens", "answer_tokens")
    }
    conversations, starts, asked, requests, of_judged, of_lengths = [], [], [], [], [], []
    n_texts, n_requests, n_unusable = 0, 0, 0
    shapes = (0, 0)
    for path in parts:
        arrays = read_arrays(path)
        arrays["text_row"] = np.where(arrays["text_row"] >= 0, arrays["text_row"] + n_texts, -1)
        n_texts += len(arrays["inputs"])
        n_unusable += int(arrays["n_unusable"].sum())
        shapes = arrays["logits"].shape[1], arrays["inputs"].shape[1]
        requests.append(n_requests + arrays["row"])
        n_requests += len(arrays["conversation"])
        conversations.append(arrays["conversation"])
        starts.append(arrays["started_at"])
        asked.append(arrays["started_at"][arrays["row"]])
        of_judged.append(arrays["conversation"][arrays["row"]])
        of_lengths.append(arrays["conversation"][arrays["length_row"]])
        for name, found in small.items():
            found.append(arrays[name])
    columns = {name: np.concatenate(found) for name, found in small.items()}
    numbers, first = _first_starts(np.concatenate(conversations), np.concatenate(starts))
    part_of = split_conversations(first, settings, seen_until)
    started = np.concatenate(starts)

    def split_of(found: list[npt.NDArray[Any]]) -> Ints:
        return part_of[np.searchsorted(numbers, np.concatenate(found))]

    def each(name: str) -> Iterator[npt.NDArray[Any]]:
        return (read_arrays(path)[name] for path in parts)

    n_judged = len(columns["model"])
    is_test = part_of == TEST
    return Evidence(
        split=split_of(of_judged),
        request=np.concatenate(requests).astype(np.intp),
        account=columns["account"],
        asked_at=np.concatenate(asked),
        lane=columns["lane"].astype(np.intp),
        believed=columns["believed"].astype(np.float64),
        model=columns["model"].astype(np.intp),
        reward=columns["reward"].astype(np.float64),
        reward_std=columns["reward_std"].astype(np.float64),
        propensity=columns["propensity"].astype(np.float64),
        logits=work.joined("logits", lambda: each("logits"), (n_judged, shapes[0])),
        text_row=columns["text_row"].astype(np.intp),
        inputs=work.joined("inputs", lambda: each("inputs"), (n_texts, shapes[1])),
        length_split=split_of(of_lengths),
        length_model=columns["length_model"].astype(np.intp),
        believed_tokens=columns["believed_tokens"].astype(np.float64),
        answer_tokens=columns["answer_tokens"].astype(np.float64),
        n_unusable=n_unusable,
        test_conversations=numbers[is_test],
        test_since=int(first[is_test].min()) if is_test.any() else int(started.max()),
        n_requests=n_requests,
        first_at=int(started.min()),
        last_at=int(started.max()),
    )


def split_conversations(first_starts: Instants, settings: RetrainSettings, seen_until: int = -1) -> Ints:
    """Return the split of each conversation, by when it began: the latest are for the test, those before them for calibrating.

    Args:
        first_starts: When each began, microseconds.
        settings: With the shares.
        seen_until: Up to when the champion was itself learned from such logs, microseconds: nobody is judged on what it has seen, so that fewer may
            be left for the test, or none.
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
    """Return the conversations' numbers, sorted, and when each began."""
    numbers, place = np.unique(conversation, return_inverse=True)
    first = np.full(len(numbers), np.iinfo(np.int64).max)
    np.minimum.at(first, place, started_at)
    return numbers, first
