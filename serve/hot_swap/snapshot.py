"""Reads at one moment what the database holds of virtual keys, accounts and the operator's policy."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from serve.errors import ConfigurationError
from serve.hot_swap.identity_stores import IdentityStores
from serve.identity.rows import HostedLanes
from serve.identity.virtual_keys import DEFAULT_ACCOUNT, AcceptedKey
from serve.provider_keys.accounts import OpenedProviderKey
from serve.routing.chosen_policy import ChosenPolicy
from serve.settings import ContentLogging

Recipe = tuple[HostedLanes, tuple[OpenedProviderKey, ...]]
"""What the lanes of an account are assembled from: when it may use the operator's lanes, and its own provider keys."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The stored keys and accounts of one moment.

    Args:
        version: Version of the stores; grows with every change.
        accepted: Virtual keys that the gateway accepts.
        pepper: Secret of the keys' digests; empty where there are no keys.
        was_any_issued: Whether a virtual key was ever issued.
        recipes: Account -> what its lanes are assembled from; holds every enabled account.
        notices: Problems of stored provider keys that cannot be used.
        content: Account -> how much of its requests may be logged; holds the accounts that chose.
        policy: Policy that the operator chose; None: the settings decide.
    """

    version: int
    accepted: tuple[AcceptedKey, ...]
    pepper: bytes
    was_any_issued: bool
    recipes: Mapping[str, Recipe]
    notices: tuple[str, ...]
    content: Mapping[str, ContentLogging]
    policy: ChosenPolicy | None


def read_snapshot(stores: IdentityStores) -> Snapshot:
    """Read what is stored. Blocks.

    Raises:
        ConfigurationError: Keys are stored, but there is no master key.
    """
    version = stores.audit.version()
    accepted = tuple(stores.virtual_keys.accepted())
    sealed = stores.provider_keys.repository.enabled()
    if (accepted or sealed) and not stores.vault.is_open:
        raise ConfigurationError(
            "keys are stored in this database, but there is no master key to open them with: give it as "
            "LLMDEAL_MASTER_KEY or master_key_file"
        )
    opened, notices = stores.provider_keys.opened()
    accounts = stores.accounts.all()
    content = {account.account: account.logged_content for account in accounts if account.logged_content is not None}
    by_account: dict[str, list[OpenedProviderKey]] = defaultdict(list)
    for key in opened:
        by_account[key.key.account].append(key)
    recipes: dict[str, Recipe] = {DEFAULT_ACCOUNT: ("never", tuple(by_account[DEFAULT_ACCOUNT]))}
    for account in accounts:
        if account.account != DEFAULT_ACCOUNT and account.is_enabled:
            recipes[account.account] = (account.hosted_lanes, tuple(by_account[account.account]))
    return Snapshot(
        version=version,
        accepted=accepted,
        pepper=stores.vault.pepper() if accepted else b"",
        was_any_issued=stores.virtual_keys.was_any_issued(),
        recipes=recipes,
        notices=tuple(notices),
        content=content,
        policy=stores.policy.read(),
    )
