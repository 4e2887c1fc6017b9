"""Replaces keys, accounts and bundles in a running gateway, while requests go on."""
