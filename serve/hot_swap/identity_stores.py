"""Opens the stored accounts, people and keys, for the gateway and for the command line."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from serve.catalogue.provider_rows import load_provider_rows
from serve.clock import Clock
from serve.identity.account_repository import AccountRepository
from serve.identity.audit_repository import AuditRepository
from serve.identity.person_repository import PersonRepository
from serve.identity.rows import Account
from serve.identity.sign_in import SignIn
from serve.identity.virtual_key_repository import VirtualKeyRepository
from serve.identity.virtual_keys import DEFAULT_ACCOUNT
from serve.packaged_files import data_dir
from serve.provider_keys.owned_provider_keys import OwnedProviderKeys
from serve.provider_keys.repository import ProviderKeyRepository
from serve.routing.policy_repository import PolicyRepository
from serve.settings import LOOPBACK_HOSTS, Settings
from serve.vault.data_key_repository import DataKeyRepository
from serve.vault.master_key import OwnMachineKey, find_key_wrapper
from serve.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class IdentityStores:
    """Accounts, people and keys in one database.

    Args:
        audit: Log of changes.
        accounts: Accounts and their members.
        people: People and their sessions.
        sign_in: Passwords, and who may sign in with them.
        virtual_keys: Stored virtual keys.
        provider_keys: Provider keys, sealed.
        vault: Vault that seals secrets.
        policy: Policy that the operator chose.
    """

    audit: AuditRepository
    accounts: AccountRepository
    people: PersonRepository
    sign_in: SignIn
    virtual_keys: VirtualKeyRepository
    provider_keys: OwnedProviderKeys
    vault: Vault
    policy: PolicyRepository


def open_identity(settings: Settings, environment: Mapping[str, str], engine: Engine, clock: Clock) -> IdentityStores:
    """Return the stores. On an operator's own machine, a master key is created when the first secret is sealed.

    Raises:
        ConfigurationError: The master key cannot be used.
    """
    secret = settings.master_key.get_secret_value() if settings.master_key else None
    wrapper = find_key_wrapper(settings.key_wrapper, secret, settings.master_key_file, environment)
    if wrapper is None and _is_ones_own_machine(settings, engine):
        wrapper = OwnMachineKey(environment)
    audit = AuditRepository(engine, clock.now)
    accounts, people = AccountRepository(audit), PersonRepository(audit)
    vault = Vault(wrapper, DataKeyRepository(engine), clock.now)
    accounts.add_if_missing(Account(DEFAULT_ACCOUNT, "Default", settings.time_zone, "never", True, clock.now()))
    rows = load_provider_rows(data_dir() / "providers")
    return IdentityStores(
        audit=audit,
        accounts=accounts,
        people=people,
        sign_in=SignIn(people, accounts, clock),
        virtual_keys=VirtualKeyRepository(audit),
        provider_keys=OwnedProviderKeys(ProviderKeyRepository(audit), vault, rows),
        vault=vault,
        policy=PolicyRepository(audit),
    )


def _is_ones_own_machine(settings: Settings, engine: Engine) -> bool:
    """Return whether the gateway serves one machine only, so that a master key on its disk is safe enough."""
    return settings.host in LOOPBACK_HOSTS and engine.dialect.name == "sqlite"
