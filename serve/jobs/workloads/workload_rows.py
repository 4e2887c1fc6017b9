"""`data/workloads.yaml`: what the workloads are made of, and who sells the graded models."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from serve.catalogue.yaml_file import CatalogueRow, read_rows


class WorkloadRow(CatalogueRow):
    """A workload."""

    name: str = Field(min_length=3)
    stands_for: str = Field(min_length=10, description="What its prompts really are.")
    tasks: tuple[str, ...] = Field(min_length=1, description="Tasks of the bundle's corpus, as source/task.")


class WorkloadFile(CatalogueRow):
    """The whole file."""

    workloads: tuple[WorkloadRow, ...] = Field(min_length=1)
    graded_offers: Mapping[str, Mapping[str, str]] = Field(
        description="Name in the bundle -> provider of genai-prices -> id there."
    )


def load_workloads(path: Path) -> WorkloadFile:
    """Read the file.

    Raises:
        ConfigurationError: It is malformed; names the line.
    """
    return read_rows(path, WorkloadFile)
