"""`/export/…`: the numbers on the screen, as CSV or Parquet."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine

from serve.dashboard.page import SECURITY_HEADERS
from serve.dashboard.pages.overview_page import bucket_sums, span_of
from serve.dashboard.pages.requests_page import filter_of
from serve.dashboard.queries.requests_filter import RequestFilter
from serve.dashboard.queries.requests_query import Cursor, read_page
from serve.dashboard.viewer import viewer_of
from serve.dashboard.views.overview_view import usage_rows
from serve.dashboard.views.requests_view import RequestLine, requests_view

routes = APIRouter(include_in_schema=False)

MOST_ROWS = 100_000
"""The most rows of one export of requests. `llmdeal export` writes any number, with every column."""
_CHUNK_ROWS = 1_000
_PART_CHARACTERS = 50_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Format = Literal["csv", "parquet"]
_PARQUET = "application/vnd.apache.parquet"

REQUEST_COLUMNS: Mapping[str, str] = {
    "request_id": "string", "started_at": "timestamp", "lane_id": "string", "vendor_model": "string",
    "virtual_key_id": "string", "tags": "string", "outcome": "string", "reason": "string", "attempts": "int64",
    "is_streaming": "bool", "prompt_tokens": "int64", "completion_tokens": "int64", "cost_nusd": "int64",
    "total_ms": "float64",
}  # fmt: skip
USAGE_COLUMNS: Mapping[str, str] = {
    "since": "timestamp", "until": "timestamp", "lane_id": "string", "requests": "int64", "attempts": "int64",
    "answered": "int64", "cost_nusd": "int64", "unpriced_attempts": "int64",
}  # fmt: skip


@routes.get("/export/requests.{file_format}")
def export_requests(request: Request, file_format: Format) -> Response:
    """Return the requests of the current filter, newest first, at most `MOST_ROWS`."""
    viewer = viewer_of(request)
    engine = request.app.state.resources.engine
    rows = (_request_row(line) for line in _lines(engine, viewer.account, filter_of(request)))
    return _download("llmdeal-requests", file_format, REQUEST_COLUMNS, rows)


@routes.get("/export/usage.{file_format}")
def export_usage(request: Request, file_format: Format) -> Response:
    """Return the sums of each day, or hour, and lane of the current span."""
    viewer = viewer_of(request)
    span = span_of(request)
    return _download("llmdeal-usage", file_format, USAGE_COLUMNS, usage_rows(span, bucket_sums(request, viewer, span)))


def _lines(engine: Engine, account: str, wanted: RequestFilter) -> Iterator[RequestLine]:
    cursor: Cursor | None = None
    n_rows = 0
    while n_rows < MOST_ROWS:
        page = read_page(engine, account, wanted, cursor, min(_CHUNK_ROWS, MOST_ROWS - n_rows))
        yield from requests_view(page, wanted).lines
        n_rows += len(page.rows)
        cursor = page.older
        if cursor is None:
            return


def _request_row(line: RequestLine) -> dict[str, object]:
    return {name: ",".join(line.tags) if name == "tags" else getattr(line, name) for name in REQUEST_COLUMNS}


def _download(
    name: str, file_format: Format, columns: Mapping[str, str], rows: Iterable[Mapping[str, object]]
) -> Response:
    headers = {**SECURITY_HEADERS, "content-disposition": f'attachment; filename="{name}.{file_format}"'}
    if file_format == "csv":
        return StreamingResponse(csv_parts(columns, rows), media_type="text/csv; charset=utf-8", headers=headers)
    return Response(_parquet(columns, list(rows)), media_type=_PARQUET, headers=headers)


def csv_parts(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Yield a CSV file in parts of some ten thousand characters, because each part goes from one thread to another.

    `None` is an empty cell. No text is a formula for a spreadsheet.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for cells in _with_header(list(columns), rows):
        writer.writerow(cells)
        if buffer.tell() > _PART_CHARACTERS:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _with_header(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Iterator[list[object]]:
    yield list(names)
    for row in rows:
        yield [_cell(row[name]) for name in names]


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


def _parquet(columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types: dict[str, Any] = {
        "string": pa.string(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }
    arrays = {name: pa.array([row[name] for row in rows], types[kind]) for name, kind in columns.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
