"""How much of an account's requests is logged: what the gateway keeps, or less where the account lets it keep less."""

from collections.abc import Mapping

from serve.settings import CONTENT_LEVELS, ContentLogging


class ContentConsent:
    """Answers for each request; replaced wishes hold from the next request on.

    Args:
        most: What the gateway keeps at most.
    """

    def __init__(self, most: ContentLogging) -> None:
        self._most = most
        self._limited: Mapping[str, ContentLogging] = {}

    def of(self, account: str) -> ContentLogging:
        """Return what is logged of an account's requests."""
        return self._limited.get(account, self._most)

    def follow(self, wished: Mapping[str, ContentLogging]) -> None:
        """Go by what accounts let be logged; an account that is absent leaves it to the gateway."""
        self._limited = {account: min(wish, self._most, key=CONTENT_LEVELS.index) for account, wish in wished.items()}
