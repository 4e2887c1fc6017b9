"""Checks of answers that ask no model and no person: made in memory, off the request path, and stored as feedback."""
