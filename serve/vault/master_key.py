"""The master key, which wraps the data keys.

The operator gives it. On the operator's own machine it is made if there is none.
"""

import base64
import binascii
import hashlib
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol

from serve.errors import ConfigurationError, VaultError
from serve.vault.aead import decrypt, encrypt

_log = logging.getLogger("llmdeal.vault")
_KEY_BYTES = 32
_MARK_BYTES = 4


class KeyWrapper(Protocol):
    """Wraps and unwraps data keys, for example by calling a key management service."""

    def wrap(self, data_key: bytes, account: str) -> bytes:
        """Return the data key in a form that only `unwrap`, for the same account, turns back."""
        ...

    def unwrap(self, wrapped: bytes, account: str) -> bytes:
        """Return the data key.

        Raises:
            VaultError: It was wrapped by another master key, or for another account.
        """
        ...


class MasterKeys:
    """Master keys in the memory of this process.

    The first key wraps and every key unwraps, so that a key can be replaced by a newer one. A wrapped data key is
    mark | nonce (96 bits) | AES-256-GCM ciphertext. The mark tells which master key wrapped it.

    Args:
        keys: Master keys of 32 bytes each, the newest first.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_mark(key): key for key in keys}
        self._newest = _mark(keys[0])

    def wrap(self, data_key: bytes, account: str) -> bytes:
        """Wrap a data key with the newest master key."""
        return self._newest + encrypt(self._keys[self._newest], data_key, account.encode())

    def unwrap(self, wrapped: bytes, account: str) -> bytes:
        """Unwrap a data key with the master key that wrapped it.

        Raises:
            VaultError: None of these master keys wrapped it.
        """
        key = self._keys.get(wrapped[:_MARK_BYTES])
        opened = None if key is None else decrypt(key, wrapped[_MARK_BYTES:], account.encode())
        if opened is not None:
            return opened
        raise VaultError(
            f"the stored keys of account {account!r} were sealed under another master key: give that one, too, "
            "after the new one, in LLMDEAL_MASTER_KEY (comma-separated)"
        )


class OwnMachineKey:
    """A master key in a file of this machine's user. The file is made when the first secret is sealed.

    Args:
        environment: Environment variables, which decide where the file is.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._keys: MasterKeys | None = None

    def wrap(self, data_key: bytes, account: str) -> bytes:
        """Wrap a data key; make the master key first, if there is none yet.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        file = default_master_key_file(self._environment)
        if not file.exists():
            make_master_key_file(self._environment)
            _log.warning("made a master key for stored keys in %s: keep a copy of it apart from the database", file)
        return self._loaded(account).wrap(data_key, account)

    def unwrap(self, wrapped: bytes, account: str) -> bytes:
        """Unwrap a data key.

        Raises:
            VaultError: There is no such file, or its master key is another one.
        """
        return self._loaded(account).unwrap(wrapped, account)

    def _loaded(self, account: str) -> MasterKeys:
        file = default_master_key_file(self._environment)
        if self._keys is None:
            if not file.exists():
                raise VaultError(
                    f"account {account!r} has stored keys, but their master key is not in {file}: put it there, "
                    "or give it as LLMDEAL_MASTER_KEY"
                )
            self._keys = read_master_key_file(file)
        return self._keys


def new_master_key() -> str:
    """Return a fresh master key as text."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def read_master_keys(text: str, where: str) -> MasterKeys:
    """Return the master keys of a text: base64 of 32 bytes each, comma-separated, the newest first.

    Args:
        text: The text.
        where: Name of the setting or file that has it, for the error.

    Raises:
        ConfigurationError: The text has another form; the error names `where`, never the text.
    """
    keys = []
    for part in text.split(","):
        try:
            key = base64.b64decode(part.strip(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != _KEY_BYTES:
            raise ConfigurationError(
                f"{where}: a master key is base64 of 32 bytes: make one with 'llmdeal vault new-master-key'"
            )
        keys.append(key)
    return MasterKeys(keys)


def find_key_wrapper(
    key_wrapper: str, master_key: str | None, master_key_file: str, environment: Mapping[str, str]
) -> KeyWrapper | None:
    """Return the wrapper that the operator configured; None: there is none.

    Args:
        key_wrapper: Name `package.module:factory` of a `KeyWrapper`, called with the environment; empty: none.
        master_key: Text of the master key; None: it is not in the settings.
        master_key_file: Path of a file that holds it; empty: the default file, if it exists.
        environment: Environment variables, as in `os.environ`.

    Raises:
        ConfigurationError: The wrapper or master key cannot be used.
    """
    if key_wrapper:
        return _load_wrapper(key_wrapper, environment)
    if master_key is not None:
        return read_master_keys(master_key, "master_key (LLMDEAL_MASTER_KEY)")
    file = Path(master_key_file) if master_key_file else default_master_key_file(environment)
    if not master_key_file and not file.exists():
        return None
    return read_master_key_file(file)


def read_master_key_file(file: Path) -> MasterKeys:
    """Return the master keys of a file that only its owner may read.

    Raises:
        ConfigurationError: Other users may read it, or it cannot be read, or it holds no master key.
    """
    try:
        if file.stat().st_mode & 0o077:
            raise ConfigurationError(f"master_key_file: other users may read {file}: run 'chmod 600 {file}'")
        return read_master_keys(file.read_text(encoding="ascii", errors="replace"), f"master_key_file {file}")
    except OSError as error:
        raise ConfigurationError(f"master_key_file: cannot read {file}: {error.strerror}") from None


def make_master_key_file(environment: Mapping[str, str]) -> Path:
    """Make the default master key file, readable by its owner alone, and return its path. An existing file is kept.

    Raises:
        ConfigurationError: It cannot be written.
    """
    file = default_master_key_file(environment)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(new_master_key() + "\n")
        with suppress(FileExistsError):
            os.link(draft, file)  # appears whole or not at all, and never replaces a file
        draft.unlink()
    except OSError as error:
        raise ConfigurationError(f"cannot write the master key file {file}: {error.strerror}") from None
    return file


def default_master_key_file(environment: Mapping[str, str]) -> Path:
    """Return the path of the master key file on one's own machine.

    It is in the configuration folder, apart from the database and its backups.
    """
    home = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME", "."), ".config")
    return Path(home) / "llmdeal" / "master.key"


def _load_wrapper(name: str, environment: Mapping[str, str]) -> KeyWrapper:
    module, _, factory = name.partition(":")
    try:
        wrapper: KeyWrapper = getattr(import_module(module), factory)(environment)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"key_wrapper: {name!r} cannot be loaded (write package.module:factory): {error}"
        ) from None
    return wrapper


def _mark(key: bytes) -> bytes:
    return hashlib.blake2b(key, person=b"llmdeal-master", digest_size=_MARK_BYTES).digest()
