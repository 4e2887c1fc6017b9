"""Budgets: an amount is held before a provider is asked, settled after, and written into the ledger once."""
