"""Authentication for the endpoints that are ordinary FastAPI."""

from typing import Final

from fastapi import Request

from serve.identity.virtual_keys import KeyRing, VirtualKeyHolder, presented_key

SESSION_COOKIE: Final = "llmdeal_session"
"""Name of the cookie that has the secret of a person's session."""


def authenticate(request: Request, key_ring: KeyRing) -> VirtualKeyHolder:
    """Return the holder of the virtual key of this request.

    Raises:
        BadVirtualKeyError: The request has no virtual key, or an unknown one.
    """
    authorization = request.headers.get("authorization")
    x_api_key = request.headers.get("x-api-key")
    return key_ring.recognise(
        presented_key(
            authorization.encode("latin-1") if authorization is not None else None,
            x_api_key.encode("latin-1") if x_api_key is not None else None,
        )
    )
