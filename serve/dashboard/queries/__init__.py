"""Bounded reads of one account, each for one page."""
