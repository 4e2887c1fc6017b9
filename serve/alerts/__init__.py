"""Alerts by webhook: how far budgets are spent, and alarms of the watch. Nothing here is on the request path."""
