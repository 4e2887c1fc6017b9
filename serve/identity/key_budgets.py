"""The port through which a new key gets its budget.

Budgets belong to the room `serve.money`, which lies above this one. It implements the protocol
(`serve.money.account_budgets`), and so the key and its budget are stored in one transaction.
"""

from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection

from serve.identity.roles import Actor
from serve.identity.rows import StoredProviderKey, StoredVirtualKey


class KeyBudgets(Protocol):
    """Sets monthly budgets of keys inside a transaction of the caller."""

    def limit_virtual_key(self, connection: Connection, key: StoredVirtualKey, usd: Decimal, actor: Actor) -> None:
        """Set the monthly budget of a virtual key.

        Args:
            connection: Connection of the transaction that stores the key.
            key: The key.
            usd: Largest amount that the key may spend in a calendar month, US dollars.
            actor: Identity that sets the budget.

        Raises:
            BadRequestError: The amount is negative, finer than a nano-dollar or too large.
        """
        ...

    def limit_provider_key(self, connection: Connection, key: StoredProviderKey, usd: Decimal, actor: Actor) -> None:
        """Set the monthly budget of a provider key; arguments and errors as for a virtual key."""
        ...
