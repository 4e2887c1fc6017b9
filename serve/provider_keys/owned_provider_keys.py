"""Provider keys that accounts have stored: sealed by the vault, opened for their lanes, and never given out again."""

from collections.abc import Sequence

from serve.catalogue.provider_rows import ProviderRow
from serve.errors import BadRequestError, NotFoundError, VaultError
from serve.identity.rows import StoredProviderKey
from serve.provider_keys.accounts import OpenedProviderKey, open_stored_account
from serve.provider_keys.repository import ProviderKeyRepository, SealedProviderKey
from serve.vault.vault import Vault


class OwnedProviderKeys:
    """Seals provider keys and opens them.

    Args:
        repository: Stored keys.
        vault: Vault that seals them.
        rows: Providers of the catalogue.
    """

    def __init__(self, repository: ProviderKeyRepository, vault: Vault, rows: Sequence[ProviderRow]) -> None:
        self.repository = repository
        self._vault = vault
        self._rows = {row.id: row for row in rows}

    def providers(self) -> list[tuple[str, str]]:
        """Return (id, name) of every provider whose keys can be stored, sorted by name."""
        return sorted(((row.id, row.name) for row in self._rows.values()), key=lambda pair: pair[1])

    def row_of(self, provider: str) -> ProviderRow:
        """Return a provider of the catalogue.

        Raises:
            NotFoundError: There is no such provider.
        """
        row = self._rows.get(provider)
        if row is None:
            raise NotFoundError(
                f"there is no provider {provider[:80]!r}. Choose one of {', '.join(sorted(self._rows))}."
            )
        return row

    def recognise(self, secret: str) -> str:
        """Return the id of the provider whose keys begin like this one.

        Raises:
            BadRequestError: There is no such provider.
        """
        prefixes = {
            row.key_prefix: row.id
            for row in self._rows.values()
            if row.key_prefix and secret.startswith(row.key_prefix)
        }
        longest = max(prefixes, key=len, default=None)
        if longest is None:
            raise BadRequestError("provider: the key does not say whose it is; name the provider", param="provider")
        return prefixes[longest]

    def check_usable(self, row: ProviderRow, opened: OpenedProviderKey) -> None:
        """Check that lanes can be made with a key.

        Raises:
            BadRequestError: They cannot; the message says why.
        """
        base_url = opened.key.base_url
        if base_url is not None and not base_url.startswith(("https://", "http://")):
            raise BadRequestError("base_url: write https://…, up to the version", param="base_url")
        notices: list[str] = []
        if open_stored_account(row, opened, notices) is None:
            raise BadRequestError(
                notices[0] if notices else f"a key of {row.name} cannot be used here", param="provider"
            )

    def seal(self, key: StoredProviderKey, secret: str) -> bytes:
        """Return the record under which a key's secret is stored. May store the account's data key first.

        Raises:
            VaultError: There is no master key, or it is not the one that sealed the account's other keys.
        """
        return self._vault.seal(key.account, key.provider, key.name, secret)

    def open(self, sealed: SealedProviderKey) -> OpenedProviderKey:
        """Return a stored key with its secret.

        Raises:
            VaultError: The key cannot be opened.
        """
        key = sealed.key
        return OpenedProviderKey(key, self._vault.open(key.account, key.provider, key.name, sealed.sealed))

    def opened(self) -> tuple[list[OpenedProviderKey], list[str]]:
        """Return every key in use, opened; and a notice for each key that cannot be opened."""
        opened, notices = [], []
        for sealed in self.repository.enabled():
            try:
                opened.append(self.open(sealed))
            except VaultError as error:
                notices.append(f"left out: {error}")
        return opened, notices
