"""Token usage in OpenAI's shape: read from providers, and written for callers together with the cost."""

from typing import Any

from msgspec import Struct

from router.price_table import Cost, TokenUsage
from serve.dialects.cost_fields import cost_fields
from serve.dialects.lenient import as_count, field_of
from serve.dialects.service_terms import reported_searches, tier_name


class Usage(Struct):
    """The `usage` block of a provider; None is absent, 0 is zero. Some servers send numbers of another type."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    prompt_tokens_details: Any = None
    """`prompt_tokens` includes its counts."""
    completion_tokens_details: Any = None
    prompt_cache_hit_tokens: Any = None
    """DeepSeek's older name for cached tokens."""
    server_tool_use: Any = None
    """Calls that the provider made itself; OpenRouter reports them."""
    num_search_queries: Any = None
    """Perplexity's name for searches of the web."""


def read_usage(
    usage: Usage | None, service_tier: object = None, *, is_reasoning_outside: bool = False
) -> TokenUsage | None:
    """Return the tokens of a usage block. None: it has no counts.

    Args:
        usage: The provider's block. None: there is none.
        service_tier: The answer's field of that name.
        is_reasoning_outside: Whether the provider counts reasoning in addition to `completion_tokens`.
    """
    if usage is None:
        return None
    prompt, completion = as_count(usage.prompt_tokens), as_count(usage.completion_tokens)
    if prompt is None and completion is None:
        return None
    cached = as_count(field_of(usage.prompt_tokens_details, "cached_tokens"))
    if cached is None:
        cached = as_count(usage.prompt_cache_hit_tokens)
    written = as_count(field_of(usage.prompt_tokens_details, "cache_write_tokens"))
    reasoning = as_count(field_of(usage.completion_tokens_details, "reasoning_tokens"))
    return TokenUsage(
        prompt_tokens=max(prompt or 0, 0),
        completion_tokens=max((completion or 0) + ((reasoning or 0) if is_reasoning_outside else 0), 0),
        cached_tokens=max(cached or 0, 0),
        cache_write_tokens=max(written or 0, 0),
        reasoning_tokens=None if reasoning is None else max(reasoning, 0),
        service_tier=tier_name(service_tier),
        web_searches=reported_searches(usage.server_tool_use, usage.num_search_queries),
    )


def usage_block(usage: TokenUsage) -> dict[str, Any]:
    """Return tokens in OpenAI's shape."""
    block: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
    if usage.reasoning_tokens is not None:
        block["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.cache_write_tokens:
        block["prompt_tokens_details"]["cache_write_tokens"] = usage.cache_write_tokens
    return block


def usage_with_cost(upstream_usage: dict[str, Any] | None, usage: TokenUsage, cost: Cost) -> dict[str, Any]:
    """Return the `usage` block for the caller: the provider's own fields, plus `cost` and `cost_details` in USD.

    `cost` is what the owner of the provider key pays. A cost that the provider reports is kept in `cost_details`.
    """
    block = dict(upstream_usage or {})
    reported = block.get("cost")
    if block.get("prompt_tokens") is None:
        block["prompt_tokens"] = usage.prompt_tokens
    if block.get("completion_tokens") is None:
        block["completion_tokens"] = usage.completion_tokens
    if block.get("total_tokens") is None:
        block["total_tokens"] = usage.prompt_tokens + usage.completion_tokens
    block |= cost_fields(usage, cost)
    if reported is not None:
        block["cost_details"]["reported_by_provider"] = reported
    return block
