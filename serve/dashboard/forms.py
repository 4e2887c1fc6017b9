"""Reads forms that change something, and refuses those that do not come from a page of ours."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request

from serve.dashboard.page_errors import PageError
from serve.dashboard.state import dashboard_of
from serve.dashboard.viewer import Viewer

TOKEN_FIELD = "form_token"  # noqa: S105 - the name of a field
_LARGEST_FORM_BYTES = 1_000_000
_MOST_FIELDS = 50
Form = Mapping[str, str]


async def read_form(request: Request) -> Form:
    """Return the fields of a form, the last of each name.

    Raises:
        PageError: The form is too large or malformed.
    """
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > _LARGEST_FORM_BYTES:
            raise PageError(
                413, "That is too long", f"A form takes {_LARGEST_FORM_BYTES:,} bytes. Send longer prompts to /v1."
            )
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise PageError(400, "This form cannot be read", "Send it from the page again.") from None


def check_form(request: Request, viewer: Viewer, form: Form) -> None:
    """Refuse a form that a foreign page sent in the viewer's name. Origin and token must be right.

    Raises:
        PageError: The origin or the token is wrong; status 403.
    """
    check_origin(request)
    if not dashboard_of(request.app).sessions.is_form_token(form.get(TOKEN_FIELD), viewer.account, viewer.name):
        raise PageError(
            403,
            "This page is out of date",
            "The gateway may have been restarted. Go back, reload the page and send the form again.",
        )


def check_origin(request: Request) -> None:
    """Refuse a form whose browser says that another site sent it.

    Raises:
        PageError: Another site sent it; status 403.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    is_foreign = (
        site not in ("same-origin", "none")
        if site
        else origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    )
    if is_foreign:
        raise PageError(
            403,
            "Another site sent this",
            "The dashboard takes forms only from its own pages. Open it in this browser and send the form there.",
        )
