"""Provider keys that are stored: taken in, recognised by how they begin, tested, replaced, and opened for the lanes. Never given out again."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from serve.catalogue.provider_rows import ProviderRow
from serve.errors import BadRequestError, NotFoundError, VaultError
from serve.identity.names import checked_name
from serve.identity.rows import StoredProviderKey
from serve.provider_keys.accounts import OpenedProviderKey, open_stored_account
from serve.provider_keys.probe import probe, probe_signer
from serve.provider_keys.repository import ProviderKeyRepository, SealedProviderKey
from serve.upstream.signing.stored import is_aws_pair, read_aws_pair
from serve.vault.vault import Vault

_LEAST_CHARACTERS: Final = 8
_MOST_CHARACTERS: Final = 10_000


class OwnedProviderKeys:
    """Keeps provider keys.

    Args:
        repository: Where they are kept.
        vault: Seals them.
        rows: The providers.
        now: The present moment.
    """

    def __init__(
        self, repository: ProviderKeyRepository, vault: Vault, rows: Sequence[ProviderRow], now: Callable[[], datetime]
    ) -> None:
        self.repository = repository
        self._vault = vault
        self._rows = {row.id: row for row in rows}
        self._now = now

    def providers(self) -> list[tuple[str, str]]:
        """Return (id, name) of every provider whose keys can be stored, by name."""
        return sorted(((row.id, row.name) for row in self._rows.values()), key=lambda pair: pair[1])

    def recognise(self, secret: str) -> str:
        """Return the provider whose keys begin like this one.

        Raises:
            BadRequestError: None does, or more than one.
        """
        found = {
            row.key_prefix: row.id
            for row in self._rows.values()
            if row.key_prefix and secret.startswith(row.key_prefix)
        }
        longest = max(found, key=len, default=None)
        if longest is None:
            raise BadRequestError("provider: the key does not say whose it is; name the provider", param="provider")
        return found[longest]

    def add(
        self,
        account: str,
        provider: str | None,
        name: str,
        secret: str,
        actor: str,
        *,
        organisation: str | None = None,
        base_url: str | None = None,
        region: str | None = None,
    ) -> StoredProviderKey:
        """Store a key.

        Args:
            account: Whose.
            provider: Of the catalogue; None: as the key begins.
            name: Unique among the account's keys there.
            secret: The key.
            actor: Who brings it.
            organisation: Keys of one share its rate limits.
            base_url, region: As in the settings' `[providers.…]`.

        Raises:
            BadRequestError: Something of this makes no sense.
            VaultError: There is no master key.
        """
        row = self._row(provider or self.recognise(secret.strip()))
        text = _checked_secret(row, secret)
        checked_name(name, "name")
        if organisation is not None:
            checked_name(organisation, "organisation")
        key = StoredProviderKey(
            account=account,
            provider=row.id,
            name=name,
            last_four=_last_four(text),
            fingerprint=fingerprint(text),
            organisation=organisation,
            base_url=base_url,
            region=region,
            is_enabled=True,
            created_at=self._now(),
            created_by=actor,
            tested_at=None,
            test_outcome=None,
        )
        self._check_usable(row, OpenedProviderKey(key, text))
        self.repository.add(key, self._vault.seal(account, row.id, name, text))
        return key

    def replace(self, account: str, provider: str, name: str, secret: str, actor: str) -> StoredProviderKey:
        """Put another secret in a key's place, whose budget, limits and lanes stay.

        Raises:
            NotFoundError: There is no such key.
            VaultError: There is no master key.
        """
        row = self._row(provider)
        key = self.repository.find(account, provider, name).key
        text = _checked_secret(row, secret)
        self._check_usable(row, OpenedProviderKey(key, text))
        sealed = self._vault.seal(account, provider, name, text)
        shown = {"last_four": _last_four(text), "fingerprint": fingerprint(text)}
        self.repository.change(
            account, provider, name, actor, sealed=sealed, **shown, tested_at_us=None, test_outcome=None
        )
        return self.repository.find(account, provider, name).key

    def change(self, account: str, provider: str, name: str, actor: str, **changed: Any) -> StoredProviderKey:
        """Change `is_enabled`, `organisation`, `base_url` or `region`.

        Raises:
            BadRequestError: Something of this makes no sense.
            NotFoundError: There is no such key.
        """
        if changed.get("organisation") is not None:
            checked_name(changed["organisation"], "organisation")
        sealed = self.repository.find(account, provider, name)
        row = self._row(provider)
        secret = "unseen" if row.credentials == "key" else self._open(sealed).secret
        self._check_usable(row, OpenedProviderKey(replace(sealed.key, **changed), secret))
        self.repository.change(account, provider, name, actor, **changed)
        return self.repository.find(account, provider, name).key

    def opened(self) -> tuple[list[OpenedProviderKey], list[str]]:
        """Return every key in use, opened, and what is to be said of those that cannot be."""
        opened, notices = [], []
        for sealed in self.repository.enabled():
            try:
                opened.append(self._open(sealed))
            except VaultError as error:
                notices.append(f"left out: {error}")
        return opened, notices

    def test(self, account: str, provider: str, name: str) -> str:
        """Ask the provider whether it takes a key, at no cost; return `accepted`, `refused`, or what else was learnt. Blocks.

        Raises:
            NotFoundError: There is no such key.
            VaultError: It cannot be opened.
        """
        opened = self._open(self.repository.find(account, provider, name))
        row = self._row(provider)
        notices: list[str] = []
        connected = open_stored_account(row, opened, notices)
        if connected is None:
            outcome = notices[0] if notices else "not usable"
        elif connected.signer is not None:
            outcome = probe_signer(connected.signer)
        elif row.key_test_path is None:
            outcome = "unknown: this provider has no free call to test a key with"
        else:
            outcome = probe(connected.base_url + row.key_test_path, connected.headers)
        self.repository.note_test(account, provider, name, outcome)
        return outcome

    def _open(self, sealed: SealedProviderKey) -> OpenedProviderKey:
        key = sealed.key
        return OpenedProviderKey(key, self._vault.open(key.account, key.provider, key.name, sealed.sealed))

    def _row(self, provider: str) -> ProviderRow:
        row = self._rows.get(provider)
        if row is None:
            raise NotFoundError(f"there is no provider {provider[:80]!r}; known are {', '.join(sorted(self._rows))}")
        return row

    def _check_usable(self, row: ProviderRow, opened: OpenedProviderKey) -> None:
        base_url = opened.key.base_url
        if base_url is not None and not base_url.startswith(("https://", "http://")):
            raise BadRequestError("base_url: write https://…, up to the version", param="base_url")
        notices: list[str] = []
        if open_stored_account(row, opened, notices) is None:
            raise BadRequestError(
                notices[0] if notices else f"a key of {row.name} cannot be used here", param="provider"
            )


def fingerprint(secret: str) -> str:
    """Return a short hash by which two places can tell that they hold the same key."""
    return hashlib.sha256(b"llmdeal provider key\x00" + secret.encode()).hexdigest()[:16]


def _last_four(text: str) -> str:
    """Return the end of what may be shown: of a key itself; of what names a service account, or a pair of AWS keys, for their ends are secret."""
    if text.startswith("{"):
        account = json.loads(text)
        return str(account.get("private_key_id") or account.get("client_email") or "")[-4:]
    return read_aws_pair(text).access_key_id[-4:] if is_aws_pair(text) else text[-4:]


def _checked_secret(row: ProviderRow, secret: str) -> str:
    text = secret.strip()
    if row.credentials == "google" or text.startswith("{"):
        if row.credentials != "google":
            raise BadRequestError(f"key: {row.name} takes a key, no JSON", param="key")
        try:
            text = json.dumps(json.loads(text), separators=(",", ":"))  # pasted over several lines it is the same
        except ValueError:
            raise BadRequestError("key: paste the whole JSON of a service account's file", param="key") from None
    if not _LEAST_CHARACTERS <= len(text) <= _MOST_CHARACTERS or not text.isascii() or not text.isprintable():
        raise BadRequestError(
            f"key: a provider key has at least {_LEAST_CHARACTERS} printable characters and no line break", param="key"
        )
    return text
