"""Grouped splits: prompts that nearly repeat each other share a group, and a split never divides a group.

Every fit and every figure takes its folds from here. There is no split by row.
"""

import re
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.errors import SettingsError

Ints = npt.NDArray[np.intp]

_NOT_LETTERS = re.compile(r"[^a-z ]+")
_SHINGLE_WORDS = 4
_TEMPLATE_PROMPTS = 20
"""A run of words in more prompts than this is a template; it is no sign of repetition."""
_BANDS, _ROWS_PER_BAND = 4, 4
_PRIME = np.uint64(4_294_967_291)


def group_near_duplicates(prompts: Sequence[str]) -> Ints:
    """Return a group number for each prompt, shape (n,); near-duplicates share one.

    Numbers and marks are ignored, so that the same exercise with other figures is a near-duplicate. The method is
    MinHash with banding over runs of four words (Broder 1997, "On the resemblance and containment of documents").
    Two prompts that have a share `s` of their runs in common are joined with probability 1 - (1 - s^4)^4. That is
    0.3 at s = 0.5, and 0.97 at s = 0.85.
    """
    normalized = [" ".join(_NOT_LETTERS.sub(" ", prompt.lower().replace("\n", " ")).split()) for prompt in prompts]
    shingles = [_shingles(text) for text in normalized]
    frequency = Counter(run for runs in shingles for run in runs)
    leader = list(range(len(prompts)))
    buckets: dict[tuple[int, bytes], int] = {}
    exact: dict[str, int] = {}
    for row, runs in enumerate(shingles):
        _join(leader, row, exact.setdefault(prompts[row], row))
        telling = np.array(sorted(run for run in runs if frequency[run] <= _TEMPLATE_PROMPTS), np.uint64)
        if len(telling):
            signature = _minhash(telling)  # (bands, rows per band)
            for band in range(_BANDS):
                _join(leader, row, buckets.setdefault((band, signature[band].tobytes()), row))
    return np.array([_find(leader, row) for row in range(len(prompts))], np.intp)


def assign_folds(groups: Ints, n_folds: int, seed: int) -> Ints:
    """Return the fold of each row, 0..n_folds - 1, shape (n,).

    A group lies in one fold, and folds have nearly equal sizes.

    Raises:
        SettingsError: There are fewer groups than folds.
    """
    names, members = np.unique(groups, return_inverse=True)
    if len(names) < n_folds:
        raise SettingsError(f"{len(names)} groups of distinct prompts cannot fill {n_folds} folds: add prompts")
    sizes = np.bincount(members)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, fold_of_group = np.zeros(n_folds, np.intp), np.empty(len(names), np.intp)
    for group in order:
        fold = int(np.argmin(filled))
        fold_of_group[group] = fold
        filled[fold] += sizes[group]
    return fold_of_group[members]


def _shingles(text: str) -> set[int]:
    words = text.split()
    runs = (" ".join(words[start : start + _SHINGLE_WORDS]) for start in range(max(1, len(words) - _SHINGLE_WORDS + 1)))
    return {zlib.crc32(run.encode()) for run in runs if run}


def _minhash(runs: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    factors = (np.arange(1, _BANDS * _ROWS_PER_BAND + 1, dtype=np.uint64) * np.uint64(2_654_435_761)) | np.uint64(1)
    # The products wrap at 2^64. That is fine for a hash: equal runs still give equal values.
    return np.asarray(
        ((runs[:, None] * factors + factors * np.uint64(97)) % _PRIME).min(axis=0).reshape(_BANDS, _ROWS_PER_BAND)
    )


def _find(leader: list[int], row: int) -> int:
    while leader[row] != row:
        leader[row] = leader[leader[row]]
        row = leader[row]
    return row


def _join(leader: list[int], row: int, other: int) -> None:
    first, second = sorted((_find(leader, row), _find(leader, other)))
    leader[second] = first
