"""A canary: a bundle that decides a share of the conversations."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from serve.bundles.staging import Standing
from serve.lanes.directory import LaneDirectory

_HASH_BYTES = 8
_HASHES = 1 << (8 * _HASH_BYTES)


@dataclass(frozen=True, slots=True)
class Canary:
    """Picks the conversations. A conversation stays where it is for as long as the canary lasts, also while its share grows.

    Args:
        standing: The bundle, and its share.
        directories: Every account's lanes as it sees them.
    """

    standing: Standing
    directories: Mapping[str, LaneDirectory]

    def directory_for(self, conversation_id: str, account: str, directory: LaneDirectory) -> LaneDirectory:
        """Return the lanes that a conversation is decided on.

        Args:
            conversation_id: A hash.
            account: Whose.
            directory: Of the champion.
        """
        if not self.takes(conversation_id):
            return directory
        laid = self.directories.get(account)
        # Lanes that were changed a moment ago, such as those of a key that was taken away, are not laid out for the canary yet.
        return laid if laid is not None and laid.connections is directory.connections else directory

    def takes(self, conversation_id: str) -> bool:
        """Return whether a conversation is one of the share. The bundle's version salts the draw, so that each canary gets other ones."""
        salt = self.standing.version.encode()[-hashlib.blake2b.SALT_SIZE :]
        digest = hashlib.blake2b(conversation_id.encode(), digest_size=_HASH_BYTES, salt=salt).digest()
        return int.from_bytes(digest) < self.standing.share * _HASHES
