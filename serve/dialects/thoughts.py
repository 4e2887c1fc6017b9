"""Whose signed or encrypted thoughts a lane can read, by vendor."""

from router.lane import Capability

THOUGHTS_OF_VENDOR = {
    "anthropic": Capability.CLAUDE_THOUGHTS,
    "google": Capability.GEMINI_THOUGHTS,
    "openai": Capability.OPENAI_THOUGHTS,
}


def capability_of_vendor(vendor: str | None) -> Capability:
    """Return what a lane needs to read thoughts of this vendor; of one that we do not know, only the same dialect can be trusted to."""
    return Capability.CHAT_DIALECT if vendor is None else THOUGHTS_OF_VENDOR.get(vendor, Capability.CHAT_DIALECT)
