"""Budgets that hold: what is reserved before a provider is asked, settled after, and written down once."""
