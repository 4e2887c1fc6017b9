"""Tells the operator, by webhook, how far budgets are spent and which alarms of the watch ring. Nothing here is on the request path."""
