"""Signed cookies and form tokens. The secret is the process's own: a restart signs everybody out."""

import secrets
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

SESSION_COOKIE = "llmdeal_session"
SESSION_S = 12 * 3_600
"""For how long somebody stays signed in, and a form can be sent."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who signed in.

    Args:
        account: Whose.
        name: Of the virtual key that was shown.
    """

    account: str
    name: str


class Sessions:
    """Issues and reads sessions and form tokens."""

    def __init__(self) -> None:
        secret = secrets.token_bytes(32)
        self._sessions = URLSafeTimedSerializer(secret, salt="session")
        self._forms = URLSafeTimedSerializer(secret, salt="form")

    def issue(self, session: Session) -> str:
        """Return the cookie's value."""
        return str(self._sessions.dumps([session.account, session.name]))

    def read(self, cookie: str | None) -> Session | None:
        """Return who signed in; None: nobody, or too long ago."""
        told = _read(self._sessions, cookie)
        return None if told is None else Session(*told)

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
