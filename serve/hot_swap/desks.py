"""The desks: where accounts, members, keys and budgets are changed.

The admin API, the dashboard and the command line use the same desks, so that a change is the same through each door.
"""

from collections.abc import Callable
from dataclasses import dataclass

from serve.hot_swap.identity_stores import IdentityStores
from serve.identity.account_desk import AccountDesk
from serve.identity.virtual_key_desk import VirtualKeyDesk
from serve.money.account_budgets import AccountBudgets
from serve.money.budget_repository import BudgetRepository
from serve.provider_keys.provider_key_desk import ProviderKeyDesk


@dataclass(frozen=True, slots=True)
class Desks:
    """The desks of one gateway, or of one command.

    Args:
        accounts: Desk for accounts and their members.
        virtual_keys: Desk for virtual keys.
        provider_keys: Desk for provider keys.
        budgets: Budgets of accounts.
    """

    accounts: AccountDesk
    virtual_keys: VirtualKeyDesk
    provider_keys: ProviderKeyDesk
    budgets: AccountBudgets


def open_desks(stores: IdentityStores, budgets: BudgetRepository, use_now: Callable[[], None]) -> Desks:
    """Return the desks.

    Args:
        stores: Stored accounts, people and keys.
        budgets: Stored budgets, in the same database.
        use_now: Function that makes this process apply a change that was stored; other processes follow within a
            second.
    """
    accounts, audit = stores.accounts, stores.audit
    account_budgets = AccountBudgets(budgets, accounts, audit, audit.now)
    return Desks(
        accounts=AccountDesk(accounts, stores.people, stores.sign_in, audit, use_now),
        virtual_keys=VirtualKeyDesk(stores.virtual_keys, accounts, audit, stores.vault, account_budgets, use_now),
        provider_keys=ProviderKeyDesk(stores.provider_keys, accounts, audit, account_budgets, use_now),
        budgets=account_budgets,
    )
