"""`data/workloads.yaml`: the tasks of each workload, and the providers of the graded models."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from serve.catalogue.yaml_file import CatalogueRow, read_rows


class WorkloadRow(CatalogueRow):
    """A workload."""

    name: str = Field(min_length=3)
    stands_for: str = Field(min_length=10, description="The prompts that it really has.")
    tasks: tuple[str, ...] = Field(min_length=1, description="Tasks of the bundle's corpus, as source/task.")


class WorkloadFile(CatalogueRow):
    """The contents of the file."""

    workloads: tuple[WorkloadRow, ...] = Field(min_length=1)
    graded_offers: Mapping[str, Mapping[str, str]] = Field(
        description="Name in the bundle -> provider of genai-prices -> id at that provider."
    )


def load_workloads(path: Path) -> WorkloadFile:
    """Read the file.

    Raises:
        ConfigurationError: The file is malformed; the error names the line.
    """
    return read_rows(path, WorkloadFile)
