"""The style sheet, the scripts and the icon: a fixed set of files, read once. Their address contains their hash."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response

from serve.dashboard.page_errors import not_found

routes = APIRouter(include_in_schema=False)

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@lru_cache(maxsize=1)
def _files() -> dict[str, tuple[bytes, str]]:
    """Return name -> (content, first digits of its hash)."""
    contents = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _TYPES}
    return {name: (content, hashlib.sha256(content).hexdigest()[:12]) for name, content in contents.items()}


def asset_url(name: str) -> str:
    """Return the address of a file. Another content has another address."""
    return f"/assets/{name}?v={_files()[name][1]}"


@routes.get("/assets/{name}")
def read_asset(name: str, v: str = "") -> Response:
    """Return one file. Browsers may keep it if the address has the hash of its content."""
    if name not in _files():
        raise not_found("The dashboard has no such file.")
    content, digest = _files()[name]
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if v == digest else "no-cache",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'",
    }
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)
