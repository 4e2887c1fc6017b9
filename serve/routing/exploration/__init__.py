"""Exploration with a price: how much of a month's ceiling this worker may give up, and what was."""
