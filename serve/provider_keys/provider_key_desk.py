"""The desk for provider keys: the one place where they are stored, changed, tested and deleted.

The admin API, the dashboard and the command line call it. Each call checks what the actor may do, is one database
transaction with its audit entries, and takes effect in this process at once. A provider key is never given out again.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.key_budgets import KeyBudgets
from serve.identity.names import checked_name
from serve.identity.roles import Actor, Role
from serve.identity.rows import StoredProviderKey
from serve.provider_keys.accounts import OpenedProviderKey, open_stored_account
from serve.provider_keys.owned_provider_keys import OwnedProviderKeys
from serve.provider_keys.probe import probe, probe_signer
from serve.provider_keys.secret_text import checked_secret, fingerprint, last_four


class ProviderKeyDesk:
    """Stores, changes, tests and deletes provider keys.

    Every method raises `NotFoundError` where there is no such account, provider or key, and `ForbiddenError` where the
    actor is not an admin of the account.

    Args:
        keys: Stored provider keys.
        accounts: Stored accounts.
        audit: Audit log, whose transactions are used.
        budgets: Port to the budgets of keys.
        use_now: Function that makes this process apply a change that was stored.
    """

    def __init__(
        self,
        keys: OwnedProviderKeys,
        accounts: AccountRepository,
        audit: AuditRepository,
        budgets: KeyBudgets,
        use_now: Callable[[], None],
    ) -> None:
        self._keys = keys
        self._accounts = accounts
        self._audit = audit
        self._budgets = budgets
        self._use_now = use_now

    def store(
        self,
        account: str,
        provider: str | None,
        name: str,
        secret: str,
        actor: Actor,
        *,
        organisation: str | None = None,
        base_url: str | None = None,
        region: str | None = None,
        budget_usd: Decimal | None = None,
    ) -> StoredProviderKey:
        """Seal and store a key, and return what is stored of it. Its lanes answer from now on.

        Args:
            account: Account that owns the key.
            provider: Id of the provider; None: the provider whose keys begin like this one.
            name: Name of the key; unique among the account's keys at the provider.
            secret: The key itself.
            actor: Identity that stores it.
            organisation: Name of the group of keys that share their rate limits; None: the key shares with no other.
            base_url, region: Address and region, as in the settings' `[providers.…]`.
            budget_usd: Monthly budget, US dollars; None: none of its own.

        Raises:
            ForbiddenError: The address is not `https`, and the actor is not an operator: only operators reach into
                the gateway's own network.
            BadRequestError: The key, a name, the address or the budget is refused.
            VaultError: There is no master key.
        """
        actor.require(account, Role.ADMIN)
        if base_url is not None and not base_url.startswith("https://"):
            actor.require_operator()
        row = self._keys.row_of(provider or self._keys.recognise(secret.strip()))
        text = checked_secret(row, secret)
        checked_name(name, "name")
        if organisation is not None:
            checked_name(organisation, "organisation")
        key = StoredProviderKey(
            account=account,
            provider=row.id,
            name=name,
            last_four=last_four(text),
            fingerprint=fingerprint(text),
            organisation=organisation,
            base_url=base_url,
            region=region,
            is_enabled=True,
            created_at=self._audit.now(),
            created_by=actor.name,
            tested_at=None,
            test_outcome=None,
        )
        self._keys.check_usable(row, OpenedProviderKey(key, text))
        sealed = self._keys.seal(key, text)  # before the transaction: the vault may have to store its first data key
        with self._audit.transaction() as connection:
            self._accounts.find(account, connection)
            self._keys.repository.add(key, sealed, connection)
            if budget_usd is not None:
                self._budgets.limit_provider_key(connection, key, budget_usd, actor)
        self._use_now()
        return key

    def change(
        self, account: str, provider: str, name: str, actor: Actor, *, secret: str | None = None, **changed: Any
    ) -> StoredProviderKey:
        """Change a key, and return it as it is now. Its address stays: a key is not sent where its changer wants it.

        Args:
            account, provider, name: Account, provider and name of the key.
            actor: Identity that changes it.
            secret: New secret, which keeps the key's budget, limits and lanes; None: the secret stays.
            changed: New values of `is_enabled`, `organisation` or `region`.

        Raises:
            BadRequestError: A value is refused.
            VaultError: There is no master key, or the key cannot be opened.
        """
        actor.require(account, Role.ADMIN)
        if secret is None and not changed:
            return self._keys.repository.find(account, provider, name).key
        row = self._keys.row_of(provider)
        if changed.get("organisation") is not None:
            checked_name(changed["organisation"], "organisation")
        stored = self._keys.repository.find(account, provider, name)
        columns: dict[str, Any] = {}
        if secret is not None:
            text = checked_secret(row, secret)
            columns = {"last_four": last_four(text), "fingerprint": fingerprint(text)}
            columns |= {"sealed": self._keys.seal(stored.key, text), "tested_at_us": None, "test_outcome": None}
        elif row.credentials == "key":
            text = "unseen"  # whether a plain key is usable does not depend on its text
        else:
            text = self._keys.open(stored).secret
        self._keys.check_usable(row, OpenedProviderKey(replace(stored.key, **changed), text))
        with self._audit.transaction() as connection:
            for values in filter(None, (columns, changed)):
                self._keys.repository.change(account, provider, name, actor.name, connection, **values)
        self._use_now()
        return self._keys.repository.find(account, provider, name).key

    def test(self, account: str, provider: str, name: str, actor: Actor) -> str:
        """Ask the provider whether it accepts a key, at no cost. Blocks for some seconds.

        Returns:
            `accepted`, `refused`, or `unknown: ` and the reason.

        Raises:
            VaultError: The key cannot be opened.
        """
        actor.require(account, Role.ADMIN)
        opened = self._keys.open(self._keys.repository.find(account, provider, name))
        row = self._keys.row_of(provider)
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
        self._keys.repository.note_test(account, provider, name, outcome)
        return outcome

    def remove(self, account: str, provider: str, name: str, actor: Actor) -> None:
        """Delete a key for good."""
        actor.require(account, Role.ADMIN)
        self._keys.repository.remove(account, provider, name, actor.name)
        self._use_now()
