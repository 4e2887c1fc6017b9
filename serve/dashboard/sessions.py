"""Signed cookies of those who signed in with a virtual key, and form tokens."""

from itsdangerous import BadData, URLSafeTimedSerializer

SESSION_S = 12 * 3_600
"""For how long a virtual key keeps somebody signed in, and a form can be sent."""


class Sessions:
    """Issues and reads them.

    Args:
        secret: Signs them; the same in every worker.
    """

    def __init__(self, secret: bytes) -> None:
        self._sessions = URLSafeTimedSerializer(secret, salt="session")
        self._forms = URLSafeTimedSerializer(secret, salt="form")

    def issue(self, virtual_key_id: str) -> str:
        """Return the cookie's value."""
        return str(self._sessions.dumps([virtual_key_id]))

    def read(self, cookie: str | None) -> str | None:
        """Return with which virtual key somebody signed in; None: nobody, or too long ago."""
        told = _read(self._sessions, cookie)
        return None if told is None else told[0]

    def form_token(self, account: str, name: str) -> str:
        """Return what a form of this viewer's carries: a foreign page cannot know it."""
        return str(self._forms.dumps([account, name]))

    def is_form_token(self, token: str | None, account: str, name: str) -> bool:
        """Return whether a form was made for this viewer, and not too long ago."""
        return _read(self._forms, token) == [account, name]


def _read(serializer: URLSafeTimedSerializer, text: str | None) -> list[str] | None:
    if not text:
        return None
    try:
        told: list[str] = serializer.loads(text, max_age=SESSION_S)
    except BadData:
        return None
    return told
