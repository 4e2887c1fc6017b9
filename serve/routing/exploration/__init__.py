"""Exploration with a price: how much of a month's ceiling this worker may spend, and how much it spent."""
