"""The plotting library plotly.js, from the Python package `plotly` (the extra `plots`).

The package's one script file is served as it is. Nothing of the package is imported.
"""

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
    """Return the library's address, which names its version. Empty: the package is not installed."""
    return f"{_ADDRESS}?v={_version()}" if _script_file() is not None else ""


@routes.get(_ADDRESS)
def read_plot_library(request: Request, v: str = "") -> Response:
    """Return the script, compressed to 1.4 MB if the browser takes that. A browser asks for it once."""
    file = _script_file()
    if file is None:
        raise not_found("The package plotly is not installed. Run pip install 'llmdeal[plots]' and restart llmdeal.")
    script = _script(file)
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


def _script_file() -> Path | None:
    package = find_spec("plotly")
    folders = () if package is None else package.submodule_search_locations or ()
    files = (Path(folder) / "package_data" / "plotly.min.js" for folder in folders)
    return next((file for file in files if file.is_file()), None)


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        package_version = version("plotly")
    except PackageNotFoundError:
        package_version = "unknown"
    return hashlib.sha256(package_version.encode()).hexdigest()[:12]


@lru_cache(maxsize=1)
def _script(file: Path) -> _Script:
    content = file.read_bytes()
    return _Script(content, gzip.compress(content, _COMPRESSION, mtime=0))
