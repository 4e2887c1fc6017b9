"""Routing compared with what people would do without it, on every source of graded work of today's models."""
