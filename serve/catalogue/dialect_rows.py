"""What every provider of a dialect accepts, and the parts of JSON schema that structured output accepts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from pydantic import Field

from serve.catalogue.yaml_file import CatalogueRow, read_rows
from serve.dialects.neutral.schema_subset import SchemaSubset
from serve.dialects.quirks import NO_QUIRKS, Quirks
from serve.dialects.quirks_row import QuirksRow


class SourceRow(CatalogueRow):
    """The source of some facts."""

    read: str = Field(min_length=3, description="The facts.")
    where: str = Field(min_length=3, description="A page, a package with its version, or 'unverified'.")
    checked_on: date = Field(description="The day it was read.")


class DialectRow(CatalogueRow):
    """One dialect."""

    quirks: QuirksRow
    sources: tuple[SourceRow, ...] = Field(min_length=1)


class SchemaSubsetRow(CatalogueRow):
    """See `serve.dialects.neutral.schema_subset.SchemaSubset`."""

    keywords: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    most_min_items: int | None = None
    closes_objects: bool = False
    needs_every_key: bool = False
    sources: tuple[SourceRow, ...] = Field(min_length=1)

    def as_subset(self) -> SchemaSubset:
        """Return the row in the form that dialects use."""
        return SchemaSubset(self.keywords, self.formats, self.most_min_items, self.closes_objects, self.needs_every_key)


class _File(CatalogueRow):
    dialects: Mapping[str, DialectRow]
    schema_subsets: Mapping[str, SchemaSubsetRow]


@dataclass(frozen=True, slots=True)
class DialectRows:
    """The whole file.

    Args:
        quirks: Name of a dialect -> what all of its providers have in common.
        schema_subsets: Name -> part of JSON schema.
    """

    quirks: Mapping[str, Quirks]
    schema_subsets: Mapping[str, SchemaSubset]

    def quirks_of(self, dialect: str, *rows: tuple[QuirksRow, str]) -> Quirks:
        """Return the quirks of a dialect with those of rows above it: of a provider, of a server, of a model.

        Args:
            dialect: Name of the dialect.
            rows: Each row, the lowest first, with its place for errors.

        Raises:
            ConfigurationError: A row names a part of JSON schema that does not exist.
        """
        quirks = self.quirks.get(dialect, NO_QUIRKS)
        for row, where in rows:
            quirks = row.added_to(quirks, self.schema_subsets, where)
        return quirks


@cache
def load_dialect_rows(path: Path) -> DialectRows:
    """Read the file.

    Raises:
        ConfigurationError: The file is malformed; the error names the line.
    """
    content = read_rows(path, _File)
    subsets = {name: row.as_subset() for name, row in content.schema_subsets.items()}
    quirks = {
        name: row.quirks.added_to(NO_QUIRKS, subsets, f"{path}: dialects.{name}")
        for name, row in content.dialects.items()
    }
    return DialectRows(quirks, subsets)
