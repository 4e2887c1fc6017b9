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
    """Picks the conversations that the canary decides.

    A conversation stays with its bundle for as long as the canary lasts, also while the share grows.

    Args:
        standing: The bundle and its share.
        directories: Account -> its lanes as this bundle sees them.
    """

    standing: Standing
    directories: Mapping[str, LaneDirectory]

    def directory_for(self, conversation_id: str, account: str, directory: LaneDirectory) -> LaneDirectory:
        """Return the lanes that a conversation is decided on.

        Args:
            conversation_id: Hash that identifies the conversation.
            account: Account of the caller.
            directory: The account's lanes as the champion sees them.
        """
        if not self.takes(conversation_id):
            return directory
        own = self.directories.get(account)
        # The canary's lanes may be older than a change of a moment ago, such as a provider key that was removed.
        return own if own is not None and own.connections is directory.connections else directory

    def takes(self, conversation_id: str) -> bool:
        """Return whether the canary decides a conversation.

        The bundle's version salts the draw, so that each canary gets other conversations.
        """
        salt = self.standing.version.encode()[-hashlib.blake2b.SALT_SIZE :]
        digest = hashlib.blake2b(conversation_id.encode(), digest_size=_HASH_BYTES, salt=salt).digest()
        return int.from_bytes(digest) < self.standing.share * _HASHES
