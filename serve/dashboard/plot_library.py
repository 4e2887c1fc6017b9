"""The plotting library, plotly.js, out of the Python package `plotly`: its one file is served as it lies there, and nothing of the package is imported."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from serve.dashboard.page_errors import not_found

routes = APIRouter(include_in_schema=False)

_ADDRESS: Final = "/assets/plotly.min.js"
_COMPRESSION: Final = 6


@dataclass(frozen=True, slots=True)
class _Script:
    content: bytes
    compressed: bytes


def plot_library_url() -> str:
    """Return where browsers get the library; another version has another address. Empty: the package is not installed."""
    return f"{_ADDRESS}?v={_version()}" if _file() is not None else ""


@routes.get(_ADDRESS)
def read_plot_library(request: Request, v: str = "") -> Response:
    """Return the script: 1.4 MB where the browser takes it compressed, asked for once by those who explore a plot."""
    script = _script()
    if script is None:
        raise not_found("The package plotly is not installed.")
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if v == _version() else "no-cache",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'",
        "vary": "accept-encoding",
    }
    is_compressed = "gzip" in request.headers.get("accept-encoding", "")
    if is_compressed:
        headers["content-encoding"] = "gzip"
    return Response(
        script.compressed if is_compressed else script.content, media_type="text/javascript", headers=headers
    )


@lru_cache(maxsize=1)
def _file() -> Path | None:
    found = find_spec("plotly")
    folders = () if found is None else found.submodule_search_locations or ()
    files = (Path(folder) / "package_data" / "plotly.min.js" for folder in folders)
    return next((file for file in files if file.is_file()), None)


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        told = version("plotly")
    except PackageNotFoundError:
        told = "unknown"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def _script() -> _Script | None:
    file = _file()
    if file is None:
        return None
    content = file.read_bytes()
    return _Script(content, gzip.compress(content, _COMPRESSION, mtime=0))
