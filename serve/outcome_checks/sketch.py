"""Measures how alike two texts are from a few dozen hashes each, from which the texts cannot be read back.

A sketch holds the smallest hashes of a text's runs of eight bytes (bottom-k MinHash; Broder 1997, "On the resemblance
and containment of documents"). Of a long text, only the beginning and the end count.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

_RUN_BYTES: Final = 8
_SIZE: Final = 64
_HEAD: Final = 1_000
_TAIL: Final = 500
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)
_NO_MARKS: Final = str.maketrans(dict.fromkeys(".,;:!?\"'()[]{}*_`#", " "))


@dataclass(frozen=True, slots=True)
class Sketch:
    """The sketch of a text.

    Args:
        digest: Hash of the text in lower case, without punctuation and spaces.
        least: Smallest hashes of its runs, ascending.
    """

    digest: bytes
    least: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "Sketch":
        """Return the sketch of a text."""
        counted = text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]} {text[-_TAIL:]} {len(text)}"
        plain = " ".join(counted.lower().translate(_NO_MARKS).split()).encode(errors="replace")
        return cls(hashlib.blake2b(plain, digest_size=12).digest(), _least_hashes(plain.ljust(_RUN_BYTES)))

    def likeness(self, other: "Sketch") -> float:
        """Return the share of all their runs that two texts have in common, 0..1; 1: the same words."""
        if self.digest == other.digest:
            return 1.0
        both = sorted({*self.least, *other.least})[:_SIZE]
        common = set(self.least) & set(other.least)
        return sum(number in common for number in both) / len(both)


def _least_hashes(raw: bytes) -> tuple[int, ...]:
    runs = np.ndarray((len(raw) - _RUN_BYTES + 1,), "<u8", raw, 0, (1,))
    hashes = runs * _FACTOR  # wraps around on purpose
    hashes ^= hashes >> _SHIFT
    hashes *= _FACTOR
    if len(hashes) > 4 * _SIZE:
        hashes = np.partition(hashes, 4 * _SIZE)[
            : 4 * _SIZE
        ]  # a run that comes often counts once, so a few more are kept
    hashes.sort()
    is_first = np.append(True, hashes[1:] != hashes[:-1])
    return tuple(hashes[is_first][:_SIZE].tolist())
