"""What an export may hold of accounts that limit what is logged of them, or had it deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from router.telemetry_schema import AttemptRow, FeedbackRow, ForgottenContent, KeptContent
from serve.settings import CONTENT_LEVELS

KEPT_ORDER: Final[tuple[KeptContent, ...]] = ("nothing", *CONTENT_LEVELS)
"""What may be kept of a request, from the least to the most; `nothing`: not even its row."""


def least_kept(first: KeptContent, second: KeptContent) -> KeptContent:
    """Return the level that keeps less."""
    return min(first, second, key=KEPT_ORDER.index)


class ContentRules:
    """Removes from rows what their accounts do not allow.

    Args:
        entries: Limits of accounts: each holds for the account's requests that began before a point in time.
    """

    def __init__(self, entries: Sequence[ForgottenContent]) -> None:
        self.entries = tuple(entries)
        self._of_account: dict[str, list[ForgottenContent]] = {}
        for entry in entries:
            self._of_account.setdefault(entry.account, []).append(entry)

    @property
    def accounts(self) -> list[str]:
        """Accounts that have a limit."""
        return list(self._of_account)

    def __bool__(self) -> bool:
        return bool(self.entries)

    def attempts(self, rows: list[AttemptRow]) -> list[AttemptRow]:
        """Return the allowed content of attempts, in their order."""
        if not self.entries:
            return rows
        allowed = (_allowed(row, self.kept(row.account, row.started_at)) for row in rows)
        return [row for row in allowed if row is not None]

    def feedback(self, rows: list[FeedbackRow], origins: Mapping[str, tuple[str, datetime]]) -> list[FeedbackRow]:
        """Return the allowed content of feedback, in its order. A comment is a text, as a prompt is.

        Args:
            rows: Feedback.
            origins: Request id -> its account and start time; feedback on requests that are not in it is kept whole.
        """
        allowed = []
        for row in rows:
            origin = origins.get(row.request_id)
            kept: KeptContent = "full" if origin is None else self.kept(*origin)
            if kept != "nothing":
                allowed.append(row if kept == "full" or row.comment is None else replace(row, comment=None))
        return allowed

    def kept(self, account: str, started_at: datetime) -> KeptContent:
        """Return how much may be kept of an account's request that began at this time."""
        kept: KeptContent = "full"
        for entry in self._of_account.get(account, ()):
            if started_at < entry.until:
                kept = least_kept(kept, entry.kept)
        return kept


def _allowed(row: AttemptRow, kept: KeptContent) -> AttemptRow | None:
    if kept == "full":
        return row
    if kept == "nothing":
        return None
    without = replace(row, prompt_text=None, answer_text=None)
    return without if kept == "features" else replace(without, features=None, features_version=None)
