"""The text of a provider key, as people paste it: checked, and reduced to what may be shown of it."""

import hashlib
import json
from typing import Final

from serve.catalogue.provider_rows import ProviderRow
from serve.errors import BadRequestError
from serve.upstream.signing.stored import is_aws_pair, read_aws_pair

_LEAST_CHARACTERS: Final = 8
_MOST_CHARACTERS: Final = 10_000


def checked_secret(row: ProviderRow, secret: str) -> str:
    """Return a provider key as it is stored: without white space around it, and JSON on one line.

    Raises:
        BadRequestError: A key of this provider does not look like this.
    """
    text = secret.strip()
    if row.credentials == "google" or text.startswith("{"):
        if row.credentials != "google":
            raise BadRequestError(f"key: {row.name} takes a key, no JSON", param="key")
        try:
            text = json.dumps(json.loads(text), separators=(",", ":"))  # the same key, however it was broken into lines
        except ValueError:
            raise BadRequestError("key: paste the whole JSON of a service account's file", param="key") from None
    if not _LEAST_CHARACTERS <= len(text) <= _MOST_CHARACTERS or not text.isascii() or not text.isprintable():
        raise BadRequestError(
            f"key: a provider key has at least {_LEAST_CHARACTERS} printable characters and no line break", param="key"
        )
    return text


def fingerprint(text: str) -> str:
    """Return a short hash by which two places can tell that they have the same key."""
    return hashlib.sha256(b"llmdeal provider key\x00" + text.encode()).hexdigest()[:16]


def last_four(text: str) -> str:
    """Return the last four characters that people may see.

    They are the end of the key itself. The end of a service account's JSON, or of a pair of AWS keys, is secret: there
    they are the end of the private key's id, or of the access key's id.
    """
    if text.startswith("{"):
        account = json.loads(text)
        return str(account.get("private_key_id") or account.get("client_email") or "")[-4:]
    return read_aws_pair(text).access_key_id[-4:] if is_aws_pair(text) else text[-4:]
