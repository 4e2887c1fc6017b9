"""The JSON responses of ordinary FastAPI endpoints, encoded from the types that the OpenAPI document describes."""

import msgspec
from fastapi.responses import JSONResponse


class StructResponse(JSONResponse):
    """A response whose content is a msgspec Struct."""

    def render(self, content: msgspec.Struct) -> bytes:
        """Return the content as JSON."""
        return msgspec.json.encode(content)
