"""Token usage in the shape of Responses."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from router.price_table import TokenUsage
from serve.dialects.cost_fields import cost_fields
from serve.dialects.exchange import Bill
from serve.dialects.lenient import as_count, field_of
from serve.dialects.service_terms import tier_name


class Usage(Struct):
    """The `usage` block; None is absent, 0 is zero. Some servers send numbers of another type."""

    input_tokens: Any = None
    output_tokens: Any = None
    input_tokens_details: Any = None
    output_tokens_details: Any = None


def read_usage(usage: Usage | None, service_tier: object = None, item_types: Sequence[str] = ()) -> TokenUsage | None:
    """Return the tokens of a usage block. None: it has no counts.

    Args:
        usage: The provider's block. None: there is none.
        service_tier: The response's field of that name.
        item_types: Types of the items of its output, one for each item. A search of the web or of files is billed.
    """
    if usage is None:
        return None
    prompt, completion = as_count(usage.input_tokens), as_count(usage.output_tokens)
    if prompt is None and completion is None:
        return None
    reasoning = as_count(field_of(usage.output_tokens_details, "reasoning_tokens"))
    return TokenUsage(
        prompt_tokens=max(prompt or 0, 0),
        completion_tokens=max(completion or 0, 0),
        cached_tokens=max(as_count(field_of(usage.input_tokens_details, "cached_tokens")) or 0, 0),
        cache_write_tokens=max(as_count(field_of(usage.input_tokens_details, "cache_write_tokens")) or 0, 0),
        reasoning_tokens=None if reasoning is None else max(reasoning, 0),
        service_tier=tier_name(service_tier),
        web_searches=item_types.count("web_search_call"),
        file_searches=item_types.count("file_search_call"),
    )


def usage_with_cost(upstream: dict[str, Any] | None, usage: TokenUsage, bill: Bill) -> dict[str, Any]:
    """Return the usage block for the caller: the provider's own or ours, with `cost` and `cost_details` in USD."""
    block = (
        dict(upstream)
        if upstream
        else {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": usage.cached_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
            },
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        }
    )
    return block | cost_fields(usage, bill.cost)
