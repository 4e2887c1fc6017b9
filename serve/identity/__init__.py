"""Accounts and their people, the virtual keys that the gateway issues, and the audit log of every change to them."""
