"""Reads fields of providers' answers whose type differs from server to server: what cannot be read counts as absent.

No answer is lost for a field that nobody needs. What a field says is read wherever it can be.
"""

from collections.abc import Iterator
from typing import Any

Piece = tuple[bool, str]
"""Whether it is a thought, and its text."""


def as_text(value: Any) -> str | None:
    """Return a field that should be a text; a number becomes one. None: it is absent, or something else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_count(value: Any) -> int | None:
    """Return a field that should be a whole number; 12.0 is one. None: it is absent, or something else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return int(value)
    except (OverflowError, ValueError):
        return None


def field_of(block: Any, name: str) -> Any:
    """Return a field of an object. None: it is absent, or the block is no object."""
    return block.get(name) if isinstance(block, dict) else None


def objects_in(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a field that should be a list of objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def words_of(error: Any, otherwise: str = "the provider failed") -> str:
    """Return the words for people in an error, which may be a text or an object."""
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error.get("code")
    return as_text(error) or otherwise


def content_pieces(content: Any) -> Iterator[Piece]:
    """Yield the pieces of a message's content: a text, or a list of texts and thoughts, as Mistral sends it.

    Source: docs.mistral.ai, reasoning, read 2026-12-01. Pieces of other types have no text.
    """
    if isinstance(content, str):
        if content:
            yield False, content
        return
    for piece in content if isinstance(content, list) else ():
        if isinstance(piece, str):
            yield False, piece
        elif field_of(piece, "type") == "thinking":
            thought = piece.get("thinking")
            text = thought if isinstance(thought, str) else "".join(text for _, text in content_pieces(thought))
            if text:
                yield True, text
        elif isinstance(text := field_of(piece, "text"), str) and text:
            yield False, text


def content_length(content: Any) -> int:
    """Return the number of characters in a message's content."""
    return len(content) if isinstance(content, str) else sum(len(text) for _, text in content_pieces(content))
