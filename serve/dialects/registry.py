"""Which dialects there are, and what carries calls between any two of them."""

from functools import cache

from router.lane import Capability
from serve.dialects.anthropic.caller import MessagesCaller
from serve.dialects.anthropic.native import NativeMessages
from serve.dialects.anthropic.upstream import MessagesUpstream
from serve.dialects.exchange import Exchange
from serve.dialects.openai.caller import ChatCaller
from serve.dialects.openai.native import NativeChat
from serve.dialects.openai.quirks import Quirks
from serve.dialects.openai.upstream import ChatUpstream
from serve.dialects.translation import CallerDialect, Translation, UpstreamDialect

NATIVE: dict[str, Exchange] = {"openai": NativeChat(), "anthropic": NativeMessages()}
CALLERS: dict[str, CallerDialect] = {"openai": ChatCaller(), "anthropic": MessagesCaller()}
UPSTREAMS: dict[str, UpstreamDialect] = {"openai": ChatUpstream(), "anthropic": MessagesUpstream()}
SPOKEN_DIALECTS = frozenset(UPSTREAMS)
_PATHS = {"openai": "/chat/completions", "anthropic": "/messages"}
DIALECT_HEADERS = {"anthropic": {"anthropic-version": "2023-06-01"}}
"""Sent with every call of a dialect."""
_OWN_CAPABILITIES = {"openai": Capability.CHAT_DIALECT, "anthropic": Capability.MESSAGES_DIALECT}
_THOUGHTS = {"anthropic": Capability.CLAUDE_THOUGHTS, "google": Capability.GEMINI_THOUGHTS, "openai": Capability.OPENAI_THOUGHTS}


@cache
def exchange_between(caller: str, upstream: str) -> Exchange:
    """Return what carries calls from a caller's dialect to a provider's."""
    if caller == upstream and caller in NATIVE:
        return NATIVE[caller]
    return Translation(CALLERS[caller], UPSTREAMS[upstream])


def endpoint_urls(dialect: str, base_url: str) -> tuple[str, str]:
    """Return where a provider of this dialect answers, and where it streams."""
    url = base_url.rstrip("/") + _PATHS[dialect]
    return url, url


def capabilities_of_dialect(dialect: str, vendor_model: str, quirks: Quirks) -> Capability:
    """Return what a lane can do because of the dialect it speaks, whatever the model can do."""
    capabilities = _OWN_CAPABILITIES[dialect]
    vendor = vendor_model.partition("/")[0]
    if dialect != "openai" or quirks.keeps_reasoning_details:  # others leave proofs of thoughts out
        capabilities |= _THOUGHTS.get(vendor, Capability.NONE)
    return capabilities
