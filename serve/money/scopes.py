"""The names of the scopes that pay for requests, spelled in one place."""

from typing import Final

from serve.identity.virtual_keys import DEFAULT_ACCOUNT

SCOPE_KINDS: Final = ("account", "provider_key", "virtual_key", "hosted")


def account_scope(account: str) -> str:
    """Return the scope of everything that an account spends."""
    return f"account:{account}"


def virtual_key_scope(virtual_key_id: str) -> str:
    """Return the scope of what one virtual key spends."""
    return f"virtual_key:{virtual_key_id}"


def hosted_scope(account: str) -> str:
    """Return the scope of what an account spends on the operator's hosted lanes: its hosted credit."""
    return f"hosted:{account}"


def provider_key_scope(name: str) -> str:
    """Return the scope of what is spent with one provider key, or at one server of the operator's."""
    return f"provider_key:{name}"


def owner_of(scope: str) -> str:
    """Return the account that a scope belongs to."""
    kind, _, name = scope.partition(":")
    if kind in ("account", "hosted"):
        return name
    account, slash, _ = name.partition("/")
    return account if slash else DEFAULT_ACCOUNT
