"""Token usage in Anthropic's shape: a prompt has three counts, uncached, read from the cache, written to it."""

from typing import Any

from msgspec import Struct

from router.price_table import TokenUsage
from serve.dialects.lenient import as_count, field_of
from serve.dialects.service_terms import reported_searches, tier_name


class Usage(Struct):
    """The `usage` block; None is absent, 0 is zero. Some servers send numbers of another type."""

    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    cache_creation: Any = None
    """Tokens written to the cache, by how long they are kept."""
    output_tokens_details: Any = None
    """`output_tokens` includes its counts."""
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
    if usage is None:
        return None
    prompt, completion = as_count(usage.input_tokens), as_count(usage.output_tokens)
    if prompt is None and completion is None:
        return None
    cached, written = as_count(usage.cache_read_input_tokens) or 0, as_count(usage.cache_creation_input_tokens) or 0
    for_an_hour = as_count(field_of(usage.cache_creation, "ephemeral_1h_input_tokens")) or 0
    thoughts = as_count(field_of(usage.output_tokens_details, "thinking_tokens"))
    return TokenUsage(
        prompt_tokens=max((prompt or 0) + cached + written, 0),
        completion_tokens=max(completion or 0, 0),
        cached_tokens=max(cached, 0),
        cache_write_tokens=max(written, 0),
        reasoning_tokens=None if thoughts is None else max(thoughts, 0),
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
