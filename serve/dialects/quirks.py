"""Differences between a provider and its dialect: data of its row in data/providers, never code for one provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from router.lane import Effort
from serve.dialects.neutral.schema_subset import SchemaSubset

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
        clamped_parameters: Sampling parameter -> smallest and largest value that is accepted.
        exclusive_parameters: Sampling parameters of which only the first that is set is accepted.
        refused_with_thinking: Sampling parameters that are refused while the model thinks.
        refuses_blank_stops: Whether stop sequences of blanks alone are refused; then they are left out.
        most_stop_sequences: Number of stop sequences that are accepted; further ones are left out. None: any number.
        keeps_developer_role: Whether messages of the role `developer` are accepted. False: they become `system`.
        message_fields: Fields of messages that are accepted; others, and those that are null, are left out. Empty: any.
        wants_plain_text: Whether content that is only text must be one text, not a list of parts.
        longest_user: Number of characters of a user's id that are accepted; a longer one is hashed. None: any number.
        hides_addresses: Whether a user's id that is an e-mail address or a telephone number is hashed.
        effort_words: Effort of reasoning that is refused -> the one that is sent instead.
        fields_without_reasoning: Fields that are sent instead of the effort `none`. Empty: the effort is sent.
        effort_with_tools: Effort that a request with tools gets, because others are refused. None: any is accepted.
        states_effort_with_tools: Whether `effort_with_tools` is sent also if the request states no effort.
        call_id_length: Number of letters and digits that the id of a call must have. None: see `longest_call_id`.
        longest_call_id: Number of characters of a call's id that are accepted. None: any number.
        sends_call_ids: Whether calls and results are sent with their ids. False: the provider refuses the field.
        longest_tool_name: Number of characters of a tool's name that are accepted.
        names_begin_with_letter: Whether a tool's name must begin with a letter or `_`.
        fits_tool_schemas: Whether the schemas of all tools must be in `schema_subset`, not only strict ones.
        offers_called_tools: Whether a conversation with calls needs tools; if the request offers none, the called ones
            are offered and forbidden.
        schema_subset: Part of JSON schema that structured output accepts. None: all of it.
        media_types: Media type that is refused -> the one that is sent instead.
        document_formats: Media type of a document -> the provider's name of it.
        thought_placeholder: Text of `reasoning_content` for answers without a thought. None: they need no thought.
        drops_unsigned_thoughts: Whether thoughts without the vendor's signature are refused, so that they are left out.
        takes_special_tools: Whether the provider takes OpenAI's custom tools and `allowed_tools`. False: a request with
            them is translated, though both sides speak chat completions.
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
    clamped_parameters: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    exclusive_parameters: tuple[str, ...] = ()
    refused_with_thinking: frozenset[str] = frozenset()
    refuses_blank_stops: bool = False
    most_stop_sequences: int | None = None
    keeps_developer_role: bool = False
    message_fields: frozenset[str] = frozenset()
    wants_plain_text: bool = False
    longest_user: int | None = None
    hides_addresses: bool = False
    effort_words: Mapping[Effort, Effort] = field(default_factory=lambda: MappingProxyType({}))
    fields_without_reasoning: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    effort_with_tools: Effort | None = None
    states_effort_with_tools: bool = False
    call_id_length: int | None = None
    longest_call_id: int | None = None
    sends_call_ids: bool = True
    longest_tool_name: int = 64
    names_begin_with_letter: bool = False
    fits_tool_schemas: bool = False
    offers_called_tools: bool = False
    schema_subset: SchemaSubset | None = None
    media_types: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    document_formats: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    thought_placeholder: str | None = None
    drops_unsigned_thoughts: bool = False
    takes_special_tools: bool = False
    unknown_fields: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def keeps_reasoning_details(self) -> bool:
        """Whether thoughts may be sent back with their vendors' signatures."""
        return "reasoning_details" in self.kept_thoughts


NO_QUIRKS = Quirks()
