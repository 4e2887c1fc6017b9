"""Differences between a provider and its dialect: data of its row in data/providers, never code for one provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

StreamUsage = Literal["request", "always", "rejects_option"]


@dataclass(frozen=True, slots=True)
class Quirks:
    """Differences between a provider and its dialect.

    Args:
        renamed_parameters: Dialect's name -> provider's name, for instance max_completion_tokens -> max_tokens.
        dropped_parameters: Parameters that are never sent: the provider refuses them, and no answer needs them.
        tool_choice: OpenAI's value -> the provider's value.
        stream_usage: `request`: usage comes if `stream_options.include_usage` is sent. `always`: it comes anyway.
            `rejects_option`: the provider refuses the option.
        rejects_empty_tool_calls: Whether messages with `tool_calls: []` are refused; then the field is left out.
        is_reasoning_outside: Whether reasoning tokens are counted in addition to `completion_tokens`.
        keeps_cache_control: Whether Anthropic's `cache_control` on parts and tools is understood.
        kept_thoughts: Fields of earlier answers that are understood: `reasoning_details` (OpenRouter),
            `reasoning_content` (DeepSeek, vLLM).
        takes_thinking_budget: Whether thinking is limited in tokens, not by effort: Claude before Opus 4.6.
        added_fields: Fields that are put into every body, for instance the place where inference has to run.
        extra_parameters: Parameters that the provider takes and the dialect does not have, for instance `top_k`.
        unknown_fields: Dialect -> fields of its callers that the provider does not know, so that they are left out.
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
    unknown_fields: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def keeps_reasoning_details(self) -> bool:
        """Whether thoughts may be sent back with their vendors' signatures."""
        return "reasoning_details" in self.kept_thoughts


NO_QUIRKS = Quirks()
