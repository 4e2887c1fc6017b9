"""Ids of calls, names of tools and ids of users in the form that a provider accepts.

Each function returns the same value for the same input, so a call and its result keep one id, and the name of a tool
can be mapped back.
"""

import re
from functools import lru_cache
from hashlib import blake2b

from serve.dialects.quirks import Quirks

_NAME = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_LETTERS = re.compile(r"[A-Za-z0-9]+").fullmatch
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_ADDRESS = re.compile(r"\S@\S|^\+?[\d\s().-]{7,}$").search
_MARK_LENGTH = 8


def accepted_call_id(call_id: str, quirks: Quirks) -> str:
    """Return the id of a call, rewritten if the provider refuses its length or letters."""
    if not is_refused_id(call_id, quirks):
        return call_id
    if quirks.call_id_length is not None:
        return _digest(call_id, quirks.call_id_length)
    assert quirks.longest_call_id is not None
    return f"call_{_digest(call_id, min(quirks.longest_call_id - 5, 32))}"


def is_refused_id(call_id: object, quirks: Quirks) -> bool:
    """Return whether the provider refuses the length or the letters of a call's id."""
    if not isinstance(call_id, str):
        return False
    if quirks.call_id_length is not None:
        return len(call_id) != quirks.call_id_length or not _LETTERS(call_id)
    return quirks.longest_call_id is not None and len(call_id) > quirks.longest_call_id


def accepted_tool_name(name: str, quirks: Quirks) -> str:
    """Return the name of a tool, rewritten if it is too long or has other characters than A-Z, a-z, 0-9, _ and -."""
    begins_well = not quirks.names_begin_with_letter or name[:1].isalpha() or name[:1] == "_"
    if begins_well and len(name) <= quirks.longest_tool_name and _NAME(name):
        return name
    kept = ("" if begins_well else "_") + _NOT_IN_NAMES.sub("_", name)
    kept = kept[: quirks.longest_tool_name - _MARK_LENGTH - 1]
    return f"{kept or 'tool'}_{_digest(name, _MARK_LENGTH)}"


def accepted_user(user: str, quirks: Quirks) -> str:
    """Return the id of a user; a hash if it is too long, or an address and the provider refuses addresses."""
    is_long = quirks.longest_user is not None and len(user) > quirks.longest_user
    if not is_long and not (quirks.hides_addresses and _ADDRESS(user)):
        return user
    return f"user_{_digest(user, 32)}"


@lru_cache(maxsize=8_192)  # agents send the same ids again in every round
def _digest(text: str, length: int) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=32).hexdigest()[:length]
