"""Seals and opens secrets by envelope encryption.

Each account has a data key, which the master key wraps. Deleting the data key makes everything that it sealed
unreadable.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from serve.errors import VaultError
from serve.instant import to_microseconds
from serve.vault.aead import decrypt, encrypt
from serve.vault.data_key_repository import DataKeyRepository, DataKeyRow
from serve.vault.master_key import KeyWrapper

_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_HEAD_BYTES = len(_VERSION) + _KEY_ID_BYTES
_INSTALLATION = "installation:pepper"


class Vault:
    """Seals secrets of accounts.

    A record is version | key id (64 bits) | nonce (96 bits) | AES-256-GCM ciphertext. The account, provider and name of
    the secret are authenticated with it, so that a record that was copied into another row does not open.

    Args:
        wrapper: Wrapper of the data keys; None: there is no master key, and nothing can be sealed or opened.
        data_keys: Stored data keys.
        now: Function that returns the present time.
    """

    def __init__(self, wrapper: KeyWrapper | None, data_keys: DataKeyRepository, now: Callable[[], datetime]) -> None:
        self._wrapper = wrapper
        self._data_keys = data_keys
        self._now = now
        self._opened: dict[str, tuple[DataKeyRow, bytes]] = {}

    @property
    def is_open(self) -> bool:
        """Whether there is a master key."""
        return self._wrapper is not None

    def seal(self, account: str, provider: str, name: str, secret: str) -> bytes:
        """Return a record of `secret` for the credential `name` of an account at a provider.

        Raises:
            VaultError: There is no master key, or it did not wrap the account's data key.
        """
        row, data_key = self._data_key(account)
        return _VERSION + row.key_id + encrypt(data_key, secret.encode(), _belonging(account, provider, name))

    def open(self, account: str, provider: str, name: str, record: bytes) -> str:
        """Return the secret of a record.

        Raises:
            VaultError: The record cannot be opened: the master key is another one, or the record belongs to another
                secret or is damaged.
        """
        row, data_key = self._data_key(account, may_create=False)
        if record[:_HEAD_BYTES] != _VERSION + row.key_id:
            raise VaultError(
                f"the key {provider}/{name} of account {account!r} was sealed under a data key that is gone"
            )
        opened = decrypt(data_key, record[_HEAD_BYTES:], _belonging(account, provider, name))
        if opened is None:
            raise VaultError(
                f"the stored key {provider}/{name} of account {account!r} is damaged, or belongs to another key"
            )
        return opened.decode()

    def pepper(self) -> bytes:
        """Return 32 secret bytes for hashes of the keys that we issue; they are the same in every worker.

        Raises:
            VaultError: There is no master key, or it did not wrap these bytes.
        """
        return self._data_key(_INSTALLATION)[1]

    def rewrap(self) -> int:
        """Wrap all data keys with the newest master key; return their number.

        Raises:
            VaultError: A data key cannot be unwrapped; nothing was changed.
        """
        wrapper = self._wrapping
        rows = [
            replace(row, wrapped=wrapper.wrap(wrapper.unwrap(row.wrapped, row.account), row.account))
            for row in self._data_keys.all()
        ]
        self._data_keys.rewrap(rows)
        self._opened.clear()
        return len(rows)

    def shred(self, account: str) -> bool:
        """Make an account's secrets unreadable for good; return whether it had any."""
        self._opened.pop(account, None)
        return self._data_keys.shred(account)

    @property
    def _wrapping(self) -> KeyWrapper:
        if self._wrapper is None:
            raise VaultError(
                "there is no master key, and no key is stored without one. "
                "Make one with 'llmdeal vault new-master-key', and give it as LLMDEAL_MASTER_KEY or in the file that "
                "master_key_file names."
            )
        return self._wrapper

    def _data_key(self, account: str, *, may_create: bool = True) -> tuple[DataKeyRow, bytes]:
        wrapper = self._wrapping
        row = self._data_keys.find(account)
        if row is None and may_create:
            wrapped = wrapper.wrap(secrets.token_bytes(32), account)
            fresh = DataKeyRow(account, secrets.token_bytes(_KEY_ID_BYTES), wrapped)
            row = self._data_keys.add(fresh, to_microseconds(self._now()))
        if row is None:
            raise VaultError(f"account {account!r} has no data key: its stored keys were shredded")
        opened = self._opened.get(account)
        if opened is None or opened[0] != row:
            opened = self._opened[account] = (row, wrapper.unwrap(row.wrapped, account))
        return opened


def _belonging(account: str, provider: str, name: str) -> bytes:
    return "\x00".join((account, provider, name)).encode()
