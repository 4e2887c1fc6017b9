"""Takes secrets out of logs and out of the texts of upstream errors."""

import logging
import re
from collections.abc import Iterable, Mapping

# Prefixes of the providers' key formats and of ours; a key is its prefix and at least eight more characters. The
# examples in our own messages, `Bearer ll_live_…`, are no keys.
_SECRET = re.compile(
    r"(?:sk-[A-Za-z0-9_-]{8,}|gsk_\w{8,}|csk-[\w-]{8,}|nvapi-[\w-]{8,}|AIza[\w-]{8,}|xai-[\w-]{8,}"
    r"|fw_\w{8,}|ll_(?:live|test)_\w{8,}"
    r"|(?i:bearer)\s+(?!ll_(?:live|test)_(?!\w))[\w.~+/=-]{8,}|(?<=[?&]key=)[^&\s]+)"
)
REDACTED = "[redacted]"
_CREDENTIAL_HEADERS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` with these secrets, and everything that looks like a credential, replaced."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return _SECRET.sub(REDACTED, text)


def secrets_in(headers: Mapping[str, str]) -> list[str]:
    """Return the credentials in these request headers.

    They are taken out by value, because not every provider's keys have a form that can be recognised.
    """
    return [
        value.removeprefix("Bearer ")
        for name, value in headers.items()
        if value and name.lower() in _CREDENTIAL_HEADERS
    ]


class RedactingFilter(logging.Filter):
    """Redacts every record, its arguments and its traceback, before any handler writes it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact in place; every record passes."""
        record.msg = redact(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True
