"""`reasoning_details`: thoughts with the signatures that their vendors need to get back, as OpenRouter writes them.

Format: openrouter.ai/docs, "Reasoning tokens", read 2026-11-23. Clients send them back unchanged.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from router.lane import Capability
from serve.dialects.lenient import objects_in
from serve.dialects.neutral.parts import ReasoningPart
from serve.dialects.thoughts import capability_of_vendor

_FORMATS = {"anthropic": "anthropic-claude-v1", "google": "google-gemini-v1", "openai": "openai-responses-v1"}
_VENDORS = {name: vendor for vendor, name in _FORMATS.items()}


class ReasoningDetail(Struct):
    """One entry."""

    type: str
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    format: str | None = None
    id: str | None = None

    @property
    def is_call_signature(self) -> bool:
        """Whether it belongs to the tool call of the same id (Gemini signs calls, not thoughts)."""
        return self.type == "reasoning.encrypted" and self.format == _FORMATS["google"] and self.id is not None


def read_details(details: object) -> list[ReasoningDetail]:
    """Return the entries of a provider's answer; those of another shape are left out."""
    entries = []
    for entry in objects_in(details):
        with suppress(msgspec.ValidationError):
            entries.append(msgspec.convert(entry, ReasoningDetail))
    return entries


def vendor_of_format(name: str | None) -> str | None:
    """Return the vendor that can read thoughts of this format. None: any vendor can, because they are not signed."""
    return None if name is None else _VENDORS.get(name, name)


def capability_of_format(name: str | None) -> Capability:
    """Return what a lane needs to read such thoughts."""
    return capability_of_vendor(vendor_of_format(name))


def parts_of_details(details: Iterable[ReasoningDetail]) -> tuple[ReasoningPart, ...]:
    """Return the thoughts, without those that belong to a tool call.

    A stream sends a thought in pieces; the pieces become one thought again.
    """
    parts: list[ReasoningPart] = []
    text = ""
    for detail in details:
        if detail.is_call_signature:
            continue
        text += detail.text or detail.summary or ""
        if detail.signature is not None:
            parts.append(ReasoningPart(text, detail.signature, vendor=vendor_of_format(detail.format)))
            text = ""
        elif detail.data is not None:
            parts += [ReasoningPart(text)] if text else []
            parts.append(ReasoningPart("", encrypted=detail.data, vendor=vendor_of_format(detail.format)))
            text = ""
    return (*parts, ReasoningPart(text)) if text else tuple(parts)


def details_of_part(part: ReasoningPart, index: int) -> dict[str, Any]:
    """Return one thought as an entry."""
    name = None if part.vendor is None else _FORMATS.get(part.vendor, part.vendor)
    if part.encrypted is not None:
        return {"type": "reasoning.encrypted", "data": part.encrypted, "format": name, "index": index}
    entry = {"type": "reasoning.text", "text": part.text, "index": index}
    return entry if part.signature is None else {**entry, "signature": part.signature, "format": name}


def call_signature_detail(call_id: str, signature: str, index: int) -> dict[str, Any]:
    """Return the entry that carries a tool call's signature."""
    return {
        "type": "reasoning.encrypted",
        "data": signature,
        "id": call_id,
        "format": _FORMATS["google"],
        "index": index,
    }
