"""The capability that a lane needs to read a vendor's signed or encrypted thoughts."""

from router.lane import Capability

THOUGHTS_OF_VENDOR = {
    "anthropic": Capability.CLAUDE_THOUGHTS,
    "google": Capability.GEMINI_THOUGHTS,
    "openai": Capability.OPENAI_THOUGHTS,
}


def capability_of_vendor(vendor: str | None) -> Capability:
    """Return what a lane needs to read thoughts of this vendor.

    The thoughts of an unknown vendor need a lane of the dialect that they came in, chat completions.
    """
    return Capability.CHAT_DIALECT if vendor is None else THOUGHTS_OF_VENDOR.get(vendor, Capability.CHAT_DIALECT)
