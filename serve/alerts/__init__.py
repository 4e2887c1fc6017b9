"""Tells the operator, by webhook, how far budgets are spent. Nothing here is on the request path."""
