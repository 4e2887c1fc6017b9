"""Who pays for a request: the names of budgets' scopes, spelled in one place."""


def account_scope(account: str) -> str:
    """Return the scope of everything that an account spends."""
    return f"account:{account}"


def virtual_key_scope(virtual_key_id: str) -> str:
    """Return the scope of what one virtual key spends."""
    return f"virtual_key:{virtual_key_id}"


def provider_key_scope(name: str) -> str:
    """Return the scope of what is spent with one provider key, or at one server of the operator's."""
    return f"provider_key:{name}"
