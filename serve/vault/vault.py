"""Seals and opens secrets. Envelope encryption: a data key per account, wrapped by a master key; deleting it shreds what it sealed."""

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

    A record is version | key id (64 bits) | nonce (96 bits) | AES-256-GCM ciphertext. What it belongs to is authenticated with it, so
    that a record copied into another row does not open.

    Args:
        wrapper: Wraps the data keys; None: there is no master key, and nothing can be sealed or opened.
        data_keys: Where wrapped data keys are kept.
        now: The present moment.
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
            VaultError: There is no master key, or it is not the one that sealed what is there.
        """
        row, data_key = self._data_key(account)
        return _VERSION + row.key_id + encrypt(data_key, secret.encode(), _belonging(account, provider, name))

    def open(self, account: str, provider: str, name: str, record: bytes) -> str:
        """Return the secret of a record.

        Raises:
            VaultError: It cannot be opened: another master key, a record of something else, damage.
        """
        row, data_key = self._data_key(account, may_make=False)
        if record[:_HEAD_BYTES] != _VERSION + row.key_id:
            raise VaultError(
                f"the key {provider}/{name} of account {account!r} was sealed under a data key that is gone"
            )
        opened = decrypt(data_key, record[_HEAD_BYTES:], _belonging(account, provider, name))
        if opened is None:
            raise VaultError(f"the stored key {provider}/{name} of account {account!r} is damaged, or not its own")
        return opened.decode()

    def pepper(self) -> bytes:
        """Return 32 secret bytes of this installation, the same for every worker; for hashes of the keys that we issue.

        Raises:
            VaultError: There is no master key, or another one wrapped them.
        """
        return self._data_key(_INSTALLATION)[1]

    def rewrap(self) -> int:
        """Wrap all data keys with the newest master key; return how many.

        Raises:
            VaultError: One of them cannot be unwrapped; nothing was changed.
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
        """Make an account's secrets unreadable for ever; return whether there were any."""
        self._opened.pop(account, None)
        return self._data_keys.shred(account)

    @property
    def _wrapping(self) -> KeyWrapper:
        if self._wrapper is None:
            raise VaultError(
                "there is no master key, and keys are not stored without one: make one with 'llmdeal vault new-master-key' "
                "and give it as LLMDEAL_MASTER_KEY, or as a file named by master_key_file"
            )
        return self._wrapper

    def _data_key(self, account: str, *, may_make: bool = True) -> tuple[DataKeyRow, bytes]:
        wrapper = self._wrapping
        row = self._data_keys.find(account)
        if row is None and may_make:
            wrapped = wrapper.wrap(secrets.token_bytes(32), account)
            fresh = DataKeyRow(account, secrets.token_bytes(_KEY_ID_BYTES), wrapped)
            row = self._data_keys.add(fresh, to_microseconds(self._now()))
        if row is None:
            raise VaultError(f"account {account!r} has no data key: its stored keys were shredded")
        known = self._opened.get(account)
        if known is None or known[0] != row:
            known = self._opened[account] = (row, wrapper.unwrap(row.wrapped, account))
        return known


def _belonging(account: str, provider: str, name: str) -> bytes:
    return "\x00".join((account, provider, name)).encode()
