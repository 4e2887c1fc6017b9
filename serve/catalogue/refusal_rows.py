"""What providers mean when they refuse: `data/refusals.yaml`."""

import re
from datetime import date
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from serve.catalogue.yaml_file import CatalogueRow, read_rows
from serve.upstream.refusals import Refusal, RefusalMeaning, RefusalTable


class RefusalRow(CatalogueRow):
    """One row; see `serve.upstream.refusals.Refusal`."""

    at: frozenset[str] = Field(frozenset(), description="Provider ids; empty: any provider, and servers.")
    status: frozenset[int] = Field(frozenset(), description="HTTP statuses; empty: any.")
    words: frozenset[str] = Field(
        frozenset(), description="Values of type, code, status or reason in the body, or of x-amzn-errortype."
    )
    says: str | tuple[str, ...] = Field(
        (), description="Regular expressions, of which one must match in the body, whatever the case; empty: any body."
    )
    means: RefusalMeaning
    where: str = Field(min_length=3, description="Page, package or report that it was read in, or 'unverified'.")
    checked_on: date = Field(description="The day it was read.")

    @field_validator("says")
    @classmethod
    def _check_patterns(cls, says: str | tuple[str, ...]) -> tuple[str, ...]:
        patterns = (says,) if isinstance(says, str) else says
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as problem:
                raise ValueError(f"{pattern!r} is no regular expression: {problem}") from None
        return patterns

    @model_validator(mode="after")
    def _check_says_something(self) -> "RefusalRow":
        if not self.words and not self.says:
            raise ValueError("a row needs words or says: the status alone is judged without a row")
        return self

    def as_refusal(self) -> Refusal:
        """Return the row in the form that is asked on every refusal."""
        says = re.compile("|".join(f"(?:{pattern})" for pattern in self.says), re.IGNORECASE) if self.says else None
        return Refusal(self.at, self.status, self.words, says, self.means)


class _RefusalFile(CatalogueRow):
    refusals: tuple[RefusalRow, ...]


def load_refusals(path: Path) -> RefusalTable:
    """Return the table in this file.

    Raises:
        ConfigurationError: The file is malformed; the error names the line.
    """
    return RefusalTable([row.as_refusal() for row in read_rows(path, _RefusalFile).refusals])
