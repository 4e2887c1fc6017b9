"""What the fields of each door mean to a lane of another dialect: `data/fields.yaml`, compiled into sets of names.

A request whose fields all have a place in other dialects costs one comparison of sets.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from serve.dialects.field_needs import NO_NEEDS, FieldNeeds
from serve.dialects.inquiry import Body
from serve.errors import BadRequestError, ConfigurationError
from serve.packaged_files import data_dir

FieldMeaning = Literal["ours", "hint", "translated", "changes", "state"]
_CARRIED: Collection[FieldMeaning] = ("ours", "translated")


class FieldRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One field, one type of tool, or one type of part. The head of the file explains the fields of a row."""

    meaning: FieldMeaning = msgspec.field(name="is")
    source: str = msgspec.field(name="from")
    how: str = ""
    default: list[Any] = []
    hint_types: list[str] = []
    known_by: list[str] | None = None
    refused: str | None = None

    def is_hint(self, value: object) -> bool:
        """Return whether a value of the field may be left out."""
        if self.meaning == "hint":
            return True
        kinds = list(_types_in(value)) if self.hint_types else []
        return bool(kinds) and all(kind.startswith(tuple(self.hint_types)) for kind in kinds)


class _DoorRow(Struct, frozen=True, forbid_unknown_fields=True):
    fields: dict[str, FieldRow]
    tools: dict[str, FieldRow]
    parts: dict[str, FieldRow]


class _SourceRow(Struct, frozen=True, forbid_unknown_fields=True):
    where: Annotated[str, Meta(min_length=3)]
    checked_on: date


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, _SourceRow]
    doors: dict[str, _DoorRow]


@dataclass(frozen=True, slots=True)
class DoorFields:
    """The rows of one door.

    Args:
        fields: Name -> row.
        tools: Type of a tool -> row; a `*` at the end stands for any ending.
        parts: Type of a part of the conversation -> row.
        carried: Names of fields that the gateway reads or that every dialect has.
        carried_tools: Types of tools that become functions.
        carried_parts: Types of parts that every dialect has, or that may be left out.
    """

    fields: Mapping[str, FieldRow]
    tools: Mapping[str, FieldRow]
    parts: Mapping[str, FieldRow]
    carried: frozenset[str] = field(init=False)
    carried_tools: frozenset[str] = field(init=False)
    carried_parts: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "carried", _carried(self.fields))
        object.__setattr__(self, "carried_tools", _carried(self.tools))
        parts = {name for name, row in self.parts.items() if row.meaning == "hint"}
        object.__setattr__(self, "carried_parts", _carried(self.parts) | parts)

    def needs(self, body: Body, tool_types: Collection[str] = (), demanded_tool: str | None = None) -> FieldNeeds:
        """Return what the fields of a body mean to lanes of other dialects.

        Args:
            body: The caller's body.
            tool_types: Types of the tools that the request offers.
            demanded_tool: Type of the tool that the request forces; None: it forces none.

        Raises:
            BadRequestError: A field needs state that only one provider keeps.
        """
        if body.keys() <= self.carried and self.carried_tools.issuperset(tool_types):
            return NO_NEEDS
        hints: list[str] = []
        binding: list[str] = []
        unknown: list[str] = []
        for name in sorted(body.keys() - self.carried):
            value, row = body[name], self.fields.get(name)
            if value is None:
                continue
            if row is None:
                unknown.append(name)
                continue
            if value in row.default:
                continue
            if row.refused is not None:
                raise BadRequestError(f"{name} needs state that only one provider keeps. {row.refused}", param=name)
            (hints if row.is_hint(value) else binding).append(name)
        for kind in sorted(set(tool_types) - self.carried_tools):
            row = self.tool(kind)
            if row is None or row.meaning not in _CARRIED:
                (hints if self._is_spare(kind, tool_types, demanded_tool) else binding).append(f"tools.{kind}")
        return FieldNeeds(tuple(hints), tuple(binding), tuple(unknown))

    def tool(self, kind: str) -> FieldRow | None:
        """Return the row of a type of tool; None: there is none."""
        row = self.tools.get(kind)
        if row is not None:
            return row
        return next((row for name, row in self.tools.items() if name[-1] == "*" and kind.startswith(name[:-1])), None)

    def is_left_out(self, kind: str) -> bool:
        """Return whether a tool of this type is left out at lanes of other dialects."""
        row = self.tool(kind)
        return row is not None and row.meaning == "hint"

    def unknown_to(self, provider: str) -> frozenset[str]:
        """Return the fields that a provider of the dialect does not know."""
        return frozenset(
            name for name, row in self.fields.items() if row.known_by is not None and provider not in row.known_by
        )

    def _is_spare(self, kind: str, tool_types: Collection[str], demanded_tool: str | None) -> bool:
        """Return whether a tool that the provider runs may be left out."""
        if demanded_tool == kind or not self.is_left_out(kind):
            return False
        return any((other := self.tool(each)) is not None and other.meaning in _CARRIED for each in tool_types)


@cache
def fields_of(door: str) -> DoorFields:
    """Return the rows of a door, by the name of its dialect. A door without rows has no fields that are known."""
    rows = load_fields(data_dir() / "fields.yaml").get(door)
    return DoorFields({}, {}, {}) if rows is None else rows


@cache
def load_fields(path: Path) -> Mapping[str, DoorFields]:
    """Return the rows of each door, by the name of its dialect.

    Raises:
        ConfigurationError: The file cannot be read or is malformed; the error names the row.
    """
    try:
        content = msgspec.yaml.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError) as problem:
        raise ConfigurationError(f"{path}: {problem}") from None
    for door, rows in content.doors.items():
        for group in (rows.fields, rows.tools, rows.parts):
            for name, row in group.items():
                _check(f"{path}: doors.{door}: {name}", row, content.sources)
    return {door: DoorFields(rows.fields, rows.tools, rows.parts) for door, rows in content.doors.items()}


def _check(where: str, row: FieldRow, sources: Collection[str]) -> None:
    if row.source not in sources:
        raise ConfigurationError(f"{where}: there is no source {row.source!r}. Use one of: {', '.join(sources)}.")
    if (row.meaning == "translated") != bool(row.how):
        raise ConfigurationError(f"{where}: 'how' belongs to a field that is translated, and to no other.")
    if row.refused is not None and row.meaning != "state":
        raise ConfigurationError(f"{where}: only state can be refused. Leave 'refused' out.")


def _carried(rows: Mapping[str, FieldRow]) -> frozenset[str]:
    return frozenset(name for name, row in rows.items() if row.meaning in _CARRIED)


def _types_in(value: object) -> Iterable[str]:
    """Yield the types of the objects of a list, or of the lists in an object."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _types_in(inner)
    for item in value if isinstance(value, list) else ():
        yield str(item.get("type", "")) if isinstance(item, dict) else ""
