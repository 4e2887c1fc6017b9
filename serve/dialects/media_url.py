"""Media by URL: a `data:` URL holds the media itself (RFC 2397), any other URL is an address."""

from serve.errors import BadRequestError


def media_of_url(url: str, where: str) -> tuple[str | None, str | None, str | None]:
    """Return (media type, base64 data, URL); one of the last two is None.

    Raises:
        BadRequestError: The URL is neither a base64 `data:` URL nor one of http or https.
    """
    if url.startswith(("https://", "http://")):
        return None, None, url
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise BadRequestError("use an https URL or 'data:<media type>;base64,<data>'", param=where)
    return head[5:-7].partition(";")[0] or "application/octet-stream", data, None


def data_url(media_type: str | None, data: str) -> str:
    """Return inline media as a URL."""
    return f"data:{media_type or 'application/octet-stream'};base64,{data}"
