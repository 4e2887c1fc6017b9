"""Embedding models and the providers that offer each: `data/embeddings.yaml`."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, model_validator

from serve.catalogue.yaml_file import CatalogueRow, read_rows


class EmbeddingRow(CatalogueRow):
    """One model, at any provider."""

    model: str = Field(pattern=r"^[a-z0-9-]+/[a-zA-Z0-9._-]+$", description="vendor/model, the name that callers use.")
    context_tokens: int | None = Field(None, ge=1, description="Longest input, tokens.")
    offers: Mapping[str, str] = Field(min_length=1, description="Provider id -> the id sent on the wire.")


class EmbeddingCatalogue(CatalogueRow):
    """The whole file."""

    models: tuple[EmbeddingRow, ...]

    @model_validator(mode="after")
    def _check_order(self) -> "EmbeddingCatalogue":
        names = [row.model for row in self.models]
        if names != sorted(set(names)):
            raise ValueError("models must be sorted and distinct")
        return self


def load_embeddings(path: Path) -> EmbeddingCatalogue:
    """Read the file.

    Raises:
        ConfigurationError: The file is malformed; the error names the line.
    """
    return read_rows(path, EmbeddingCatalogue)
