"""The telemetry export format as Arrow schemas. Import this only for exports: it imports pyarrow, slowly."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from router.telemetry_schema import CANDIDATE_COLUMNS, TELEMETRY_SCHEMA_VERSION, Column

_SCALARS: Final[dict[str, pa.DataType]] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list<string>": pa.list_(pa.string()),
    "list<float32>": pa.list_(pa.float32()),
}
CANDIDATE: Final = pa.struct(
    [pa.field(column.name, _SCALARS[column.type], column.is_nullable) for column in CANDIDATE_COLUMNS]
)
"""One candidate of a decision."""
_TYPES: Final[dict[str, pa.DataType]] = {**_SCALARS, "list<candidate>": pa.list_(CANDIDATE)}


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return these columns as a schema, marked with the version of the format."""
    fields = [pa.field(column.name, _TYPES[column.type], nullable=column.is_nullable) for column in columns]
    return pa.schema(fields, {"llmdeal.telemetry_schema_version": str(TELEMETRY_SCHEMA_VERSION)})
