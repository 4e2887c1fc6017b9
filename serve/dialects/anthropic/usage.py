"""Token usage in Anthropic's shape: a prompt has three counts, uncached, read from the cache, written to it."""

from typing import Any

from msgspec import Struct

from router.price_table import TokenUsage
from serve.dialects.service_terms import reported_searches, tier_name


class CacheCreation(Struct):
    """Tokens written to the cache, by how long they are kept."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(Struct):
    """`output_tokens_details`; `output_tokens` includes them."""

    thinking_tokens: int | None = None


class Usage(Struct):
    """The `usage` block; None is absent, 0 is zero."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: Any = None
    """Calls that the provider made itself."""
    speed: Any = None
    service_tier: Any = None

    def updated(self, later: "Usage") -> "Usage":
        """Return this block with the values of a later one: a stream sends the prompt's counts before the answer's."""
        return Usage(
            *(
                getattr(self, name) if (value := getattr(later, name)) is None else value
                for name in self.__struct_fields__
            )
        )


def read_usage(usage: Usage | None) -> TokenUsage | None:
    """Return the tokens of a usage block. None: it has no counts."""
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    for_an_hour = usage.cache_creation.ephemeral_1h_input_tokens or 0 if usage.cache_creation else 0
    thoughts = usage.output_tokens_details.thinking_tokens or 0 if usage.output_tokens_details else 0
    return TokenUsage(
        prompt_tokens=max((usage.input_tokens or 0) + cached + written, 0),
        completion_tokens=max(usage.output_tokens or 0, 0),
        cached_tokens=max(cached, 0),
        cache_write_tokens=max(written, 0),
        reasoning_tokens=max(thoughts, 0),
        cache_write_1h_tokens=max(min(for_an_hour, written), 0),
        service_tier=tier_name(usage.speed, usage.service_tier),
        web_searches=reported_searches(usage.server_tool_use),
    )


def usage_block(usage: TokenUsage) -> dict[str, Any]:
    """Return tokens in Anthropic's shape."""
    return {
        "input_tokens": max(usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens, 0),
        "output_tokens": usage.completion_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
    }
