"""Credentials that are more than a key: signatures of single requests, and tokens that expire."""
