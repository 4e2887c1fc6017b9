"""How much of each account's requests is logged: as much as the gateway logs, or less where the account wants less."""

from collections.abc import Mapping

from serve.settings import CONTENT_LEVELS, ContentLogging


class ContentConsent:
    """Answers, for each request, how much of it is logged. A changed limit holds from the next request on.

    Args:
        most: Level at which the gateway logs; no account can raise it.
    """

    def __init__(self, most: ContentLogging) -> None:
        self._most = most
        self._limited: Mapping[str, ContentLogging] = {}

    def of(self, account: str) -> ContentLogging:
        """Return the level at which an account's requests are logged."""
        return self._limited.get(account, self._most)

    def follow(self, limits: Mapping[str, ContentLogging]) -> None:
        """Use these limits from now on; an account without one is logged at the gateway's level."""
        self._limited = {account: min(limit, self._most, key=CONTENT_LEVELS.index) for account, limit in limits.items()}
