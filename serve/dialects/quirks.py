"""Where a provider that speaks OpenAI's dialect differs from it: data from its row in data/providers, never code per provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

StreamUsage = Literal["request", "always", "rejects_option"]


@dataclass(frozen=True, slots=True)
class Quirks:
    """Differences, all declarative.

    Args:
        renamed_parameters: Our name -> the provider's, for instance max_completion_tokens -> max_tokens.
        dropped_parameters: Never sent: the provider refuses them and they change nothing essential.
        tool_choice: OpenAI's value -> the provider's.
        stream_usage: `request`: usage comes when `stream_options.include_usage` is sent. `always`: it comes anyway.
            `rejects_option`: the option is refused.
        rejects_empty_tool_calls: Messages with `tool_calls: []` are refused, so the field is left out.
        is_reasoning_outside: Reasoning tokens are counted beside `completion_tokens`.
        keeps_cache_control: Anthropic's `cache_control` on parts and tools is understood.
        kept_thoughts: Fields of earlier answers that are understood: `reasoning_details` (OpenRouter), `reasoning_content` (DeepSeek, vLLM).
        takes_thinking_budget: Claude is told how many tokens to think, not how hard: models before Opus 4.6.
        added_fields: Put into every body, for instance where inference has to run.
        extra_parameters: Taken besides OpenAI's own, for instance `top_k`.
    """

    renamed_parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    dropped_parameters: frozenset[str] = frozenset()
    tool_choice: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stream_usage: StreamUsage = "request"
    rejects_empty_tool_calls: bool = False
    is_reasoning_outside: bool = False
    keeps_cache_control: bool = False
    kept_thoughts: frozenset[str] = frozenset()
    takes_thinking_budget: bool = False
    added_fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    extra_parameters: frozenset[str] = frozenset()

    @property
    def keeps_reasoning_details(self) -> bool:
        """Whether thoughts may be sent back with their vendors' signatures."""
        return "reasoning_details" in self.kept_thoughts


NO_QUIRKS = Quirks()
