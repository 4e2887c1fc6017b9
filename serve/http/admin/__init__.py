"""The admin API, `/admin/v1`: accounts, members, keys, budgets, usage and the audit log."""
