"""The first start: the time before the gateway has an owner, when the only person at its machine is let in."""

from serve.identity.account_repository import AccountRepository
from serve.identity.virtual_keys import DEFAULT_ACCOUNT, KeyRing


def is_first_start(key_ring: KeyRing, accounts: AccountRepository) -> bool:
    """Return whether the gateway has no owner yet and no virtual key was ever issued."""
    return not key_ring.is_closed and not accounts.has_owner(DEFAULT_ACCOUNT)
