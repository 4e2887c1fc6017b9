"""One table of prices as a file: the bytes as they came, where they came from, and when."""

import hashlib
from datetime import date, datetime
from typing import Final, Literal

import msgspec

from serve.catalogue.provider_lists import ProviderList, read_list
from serve.catalogue.published_table import PACKAGE, MalformedTableError, PublishedTable, read_table

FORMAT_VERSION: Final = 1
PUBLISHED: Final = "published"
OPERATORS_FILE: Final = "file"
Check = Literal["accepted", "confirmed", "quarantined"]


class TableFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of prices with its origin.

    Args:
        name: `published`, `file`, or the id of the provider whose own list it is.
        origin: Address without query, or path, that it was read from.
        read_at: Time at which it was read, UTC.
        published_on: Day of the file, as its server or file system says; None: unknown.
        payload: The table as it came, JSON.
        check: Result of the check: in use because nothing was wrong, or because the operator confirmed it, or kept
            aside.
        problems: Problems that the check found.
        confirmed_at: Time at which the operator confirmed it; None: it was not confirmed.
    """

    name: str
    origin: str
    read_at: datetime
    published_on: date | None
    payload: msgspec.Raw
    check: Check = "accepted"
    problems: tuple[str, ...] = ()
    confirmed_at: datetime | None = None
    format_version: int = FORMAT_VERSION

    @property
    def digest(self) -> str:
        """Hash of the payload, 16 hexadecimal digits."""
        return hashlib.sha256(bytes(self.payload)).hexdigest()[:16]

    @property
    def source(self) -> str:
        """Its name next to each price."""
        if self.name == PUBLISHED:
            return f"{PACKAGE}, published"
        return self.origin

    def opened(self) -> PublishedTable | ProviderList:
        """Return the table.

        Raises:
            MalformedTableError: The payload is not a table of prices.
        """
        try:
            payload = msgspec.json.decode(self.payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedTableError(f"{self.origin}: not JSON ({error})") from None
        if self.name in (PUBLISHED, OPERATORS_FILE):
            return read_table(payload, self.source, self.read_at.date(), self.published_on)
        return read_list(self.name, payload, self.source, self.read_at.date())


def encode_table_file(file: TableFile) -> bytes:
    """Return the bytes to store."""
    return msgspec.json.encode(file)


def decode_table_file(content: bytes) -> TableFile:
    """Read stored bytes.

    Raises:
        MalformedTableError: They are not a table file, or are of another format.
    """
    try:
        file = msgspec.json.decode(content, type=TableFile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedTableError(f"not a stored table of prices ({error})") from None
    if file.format_version != FORMAT_VERSION:
        raise MalformedTableError(f"format_version is {file.format_version}, this program reads {FORMAT_VERSION}")
    return file
