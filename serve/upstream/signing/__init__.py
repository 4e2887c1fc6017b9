"""Credentials that are not simply a key: requests signed one by one, and tokens that expire."""
