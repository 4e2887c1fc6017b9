"""WordPiece tokenizing of the text window in plain Python, by a standard `tokenizer.json`.

It needs no tokenizers library. The ids are exact for the BERT family (BertNormalizer, BertPreTokenizer, WordPiece).
Special tokens are not added, and not recognised in text.
"""

import json
import re
import string
import unicodedata
from array import array
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from router.arrays import Ints
from router.errors import BundleError

Value = TypeVar("Value")

MAX_TOKENS = 1_024
"""Further ids are dropped; ordinary text of the window's length has about 500."""

_CACHED_CHUNKS = 65_536
_LONGEST_CACHED_CHUNK = 32
_ID_BYTES = 8
_ASCII_PUNCTUATION = r"!-/:-@\[-`{-~"
_SEGMENT = re.compile(rf"[^ \t\n\r{_ASCII_PUNCTUATION}]+|[{_ASCII_PUNCTUATION}]")
_CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def _keep(cache: dict[str, Value], chunk: str, value: Value) -> None:
    """Add a short chunk to the cache. A full cache is emptied, so that memory stays bounded whatever users send."""
    if len(chunk) <= _LONGEST_CACHED_CHUNK:
        if len(cache) >= _CACHED_CHUNKS:
            cache.clear()
        cache[chunk] = value


class _Segments(dict[str, tuple[int, ...]]):
    """Segment (a run of letters, or one mark) -> its ids. A missing entry is computed and kept."""

    def __init__(
        self, vocabulary: dict[str, int], unknown_id: int, prefix: str, longest_word: int, strips_accents: bool
    ) -> None:
        super().__init__()
        self._vocabulary = vocabulary
        self.unknown_id = unknown_id
        self._unknown = (unknown_id,)
        self._prefix = prefix
        self._longest_word = longest_word
        self._strips_accents = strips_accents

    def __missing__(self, segment: str) -> tuple[int, ...]:
        words = _split_segment(segment, self._strips_accents)
        ids = tuple(chain.from_iterable(self._word_pieces(word) for word in words))
        _keep(self, segment, ids)
        return ids

    def _word_pieces(self, word: str) -> tuple[int, ...]:
        """Return the ids of a word by greedy longest match, or the unknown id when a part of it matches nothing."""
        if len(word) > self._longest_word:
            return self._unknown
        vocabulary, ids, start, length = self._vocabulary, [], 0, len(word)
        while start < length:
            prefix = self._prefix if start else ""
            for end in range(length, start, -1):
                piece = vocabulary.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return self._unknown
            ids.append(piece)
            start = end
        return tuple(ids)


class _Chunks(dict[str, bytes]):
    """Chunk (the text between two blanks) -> its ids, as the bytes of 64-bit integers.

    Bytes can be joined without making Python integers.
    """

    def __init__(self, segments: _Segments) -> None:
        super().__init__()
        self._ids_of = segments.__getitem__

    def __missing__(self, chunk: str) -> bytes:
        raw = array("q", chain.from_iterable(map(self._ids_of, _SEGMENT.findall(chunk)))).tobytes()
        _keep(self, chunk, raw)
        return raw


class WordPieceTokenizer:
    """Turns text into token ids. It is thread-safe: only single dictionary operations touch its caches.

    Args:
        definition: Parsed `tokenizer.json`.
        path: Path of that file, for error messages.

    Raises:
        BundleError: The file describes another kind of tokenizer.
    """

    def __init__(self, definition: object, path: Path) -> None:
        try:
            segments = _Segments(*_read_definition(definition))
        except (KeyError, TypeError, ValueError) as problem:
            raise BundleError(
                f"{path}: not a lower-casing BERT WordPiece tokenizer ({problem}): "
                "use the tokenizer.json of such an encoder"
            ) from problem
        self._ids_of = _Chunks(segments).__getitem__
        self._nothing = array("q", [segments.unknown_id]).tobytes()

    @classmethod
    def from_file(cls, path: Path) -> "WordPieceTokenizer":
        """Read a `tokenizer.json`.

        Raises:
            BundleError: The file is not JSON or describes another kind of tokenizer.
        """
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise BundleError(f"{path}: cannot be read ({problem}): export the bundle again") from problem
        return cls.from_bytes(content, path)

    @classmethod
    def from_bytes(cls, content: bytes, path: Path) -> "WordPieceTokenizer":
        """Build from the bytes of a `tokenizer.json` that was read from `path`.

        Raises:
            BundleError: The bytes are not JSON, or describe another kind of tokenizer.
        """
        try:
            definition = json.loads(content)
        except ValueError as problem:
            raise BundleError(f"{path}: is not JSON ({problem}): export the bundle again") from problem
        return cls(definition, path)

    def encode(self, text: str) -> Ints:
        """Return the ids of a text, shape (n_tokens,), 1 to `MAX_TOKENS`.

        Text without a visible character is one unknown token.
        """
        chunks = text.replace("\n", " ").replace("\t", " ").replace("\r", " ").split(" ")
        raw = b"".join(map(self._ids_of, chunks)) or self._nothing
        return np.frombuffer(raw[: MAX_TOKENS * _ID_BYTES], dtype=np.int64)


def _read_definition(definition: object) -> tuple[dict[str, int], int, str, int, bool]:
    if not isinstance(definition, dict):
        raise TypeError("not a JSON object")
    pieces, normalizer = definition["model"], definition["normalizer"]
    if pieces["type"] != "WordPiece" or definition["pre_tokenizer"]["type"] != "BertPreTokenizer":
        raise ValueError(f"type {pieces['type']!r}")
    if normalizer["type"] != "BertNormalizer" or not (normalizer["lowercase"] and normalizer["clean_text"]):
        raise ValueError(f"normalizer {normalizer['type']!r}")
    strips_accents = normalizer["strip_accents"] is not False
    vocabulary: dict[str, int] = pieces["vocab"]
    return (
        vocabulary,
        vocabulary[pieces["unk_token"]],
        str(pieces["continuing_subword_prefix"]),
        int(pieces["max_input_chars_per_word"]),
        strips_accents,
    )


def _split_segment(segment: str, strips_accents: bool) -> list[str]:
    """Normalize one segment like BertNormalizer, and split it like BertPreTokenizer."""
    if segment.isascii() and segment.isprintable():
        return [segment.lower()]
    cleaned = "".join(_clean_character(character) for character in segment)
    if strips_accents:
        cleaned = "".join(c for c in unicodedata.normalize("NFD", cleaned) if unicodedata.category(c) != "Mn")
    # Character by character: lower-casing a whole word would turn a final sigma into another letter.
    lowered = "".join(character.lower() for character in cleaned)
    isolated = "".join(f" {c} " if _is_punctuation(c) else c for c in lowered)
    return isolated.split()


def _clean_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\t\n\r" or category == "Zs" or character in "\u2028\u2029":
        return " "
    if category in ("Cc", "Cf", "Co", "Cn", "Cs") or character == "\ufffd":
        return ""
    code = ord(character)
    return f" {character} " if any(low <= code <= high for low, high in _CJK_RANGES) else character


def _is_punctuation(character: str) -> bool:
    # ASCII symbols count too: decomposition may produce one, such as "<" from "≮".
    return unicodedata.category(character).startswith("P") or (character.isascii() and character in string.punctuation)
