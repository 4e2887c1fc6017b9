"""Signed cookies of viewers who signed in with a virtual key, and form tokens."""

from itsdangerous import BadData, URLSafeTimedSerializer

SESSION_S = 12 * 3_600
"""Time for which a viewer stays signed in with a virtual key, and a form can be sent."""


class Sessions:
    """Issues and reads cookies and form tokens.

    Args:
        secret: Secret that signs them; the same in every worker.
    """

    def __init__(self, secret: bytes) -> None:
        self._sessions = URLSafeTimedSerializer(secret, salt="session")
        self._forms = URLSafeTimedSerializer(secret, salt="form")

    def issue(self, virtual_key_id: str) -> str:
        """Return the cookie's value."""
        return str(self._sessions.dumps([virtual_key_id]))

    def read(self, cookie: str | None) -> str | None:
        """Return the id of the virtual key that the viewer signed in with; None: there is none, or it is too old."""
        values = _read(self._sessions, cookie)
        return None if values is None else values[0]

    def form_token(self, account: str, name: str) -> str:
        """Return the token of this viewer's forms. A foreign page cannot know it."""
        return str(self._forms.dumps([account, name]))

    def is_form_token(self, token: str | None, account: str, name: str) -> bool:
        """Return whether the token is this viewer's and not too old."""
        return _read(self._forms, token) == [account, name]


def _read(serializer: URLSafeTimedSerializer, text: str | None) -> list[str] | None:
    if not text:
        return None
    try:
        values: list[str] = serializer.loads(text, max_age=SESSION_S)
    except BadData:
        return None
    return values
