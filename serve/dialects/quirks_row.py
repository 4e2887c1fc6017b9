"""Quirks as the operator or a file of the catalogue states them: only what differs from the rows below it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from router.lane import Effort
from serve.dialects.neutral.schema_subset import SchemaSubset
from serve.dialects.quirks import Quirks, StreamUsage
from serve.errors import ConfigurationError

Range = Annotated[tuple[float, float], Field(description="Smallest and largest value.")]


class QuirksRow(BaseModel):
    """See `serve.dialects.quirks.Quirks`. What a row leaves out is as in the row below it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    renamed_parameters: Mapping[str, str] = {}
    dropped_parameters: frozenset[str] = frozenset()
    tool_choice: Mapping[str, str] = {}
    stream_usage: StreamUsage = "request"
    rejects_empty_tool_calls: bool = False
    is_reasoning_outside: bool = False
    keeps_cache_control: bool = False
    kept_thoughts: frozenset[str] = frozenset()
    extra_parameters: frozenset[str] = frozenset()
    added_fields: Mapping[str, str] = {}
    clamped_parameters: Mapping[str, Range] = {}
    exclusive_parameters: tuple[str, ...] = ()
    refused_with_thinking: frozenset[str] = frozenset()
    refuses_blank_stops: bool = False
    most_stop_sequences: int | None = Field(default=None, ge=0)
    keeps_developer_role: bool = False
    message_fields: frozenset[str] = frozenset()
    wants_plain_text: bool = False
    longest_user: int | None = Field(default=None, ge=37)
    hides_addresses: bool = False
    effort_words: Mapping[Effort, Effort] = {}
    fields_without_reasoning: Mapping[str, Mapping[str, str]] = {}
    effort_with_tools: Effort | None = None
    states_effort_with_tools: bool = False
    call_id_length: int | None = Field(default=None, ge=6, le=64)
    longest_call_id: int | None = Field(default=None, ge=16)
    sends_call_ids: bool = True
    longest_tool_name: int = Field(default=64, ge=16)
    names_begin_with_letter: bool = False
    fits_tool_schemas: bool = False
    offers_called_tools: bool = False
    schema_subset: str | None = Field(
        default=None, description="Name of one of `schema_subsets` in data/dialects.yaml."
    )
    media_types: Mapping[str, str] = {}
    document_formats: Mapping[str, str] = {}
    thought_placeholder: str | None = Field(default=None, min_length=1)
    drops_unsigned_thoughts: bool = False
    takes_special_tools: bool = False

    def added_to(self, below: Quirks, subsets: Mapping[str, SchemaSubset], where: str) -> Quirks:
        """Return the quirks of the row below with what this row states.

        A mapping or a set gains the entries of this row; any other value replaces the one below.

        Args:
            below: Quirks of the row below: of the dialect, of the provider.
            subsets: Name -> part of JSON schema.
            where: Place of the row, for errors.

        Raises:
            ConfigurationError: There is no part of JSON schema of this name.
        """
        stated: dict[str, object] = {}
        for name in self.model_fields_set & QuirksRow.model_fields.keys():
            value = getattr(self, name)
            if name == "schema_subset" and value is not None:
                if value not in subsets:
                    raise ConfigurationError(
                        f"{where}: there is no schema_subset {value!r}. Use one of: {', '.join(sorted(subsets))}."
                    )
                value = subsets[value]
            elif isinstance(value, Mapping):
                value = {**getattr(below, name), **value}
            elif isinstance(value, frozenset):
                value = getattr(below, name) | value
            stated[name] = value
        return replace(below, **stated) if stated else below  # type: ignore[arg-type]  # names and types of the fields
