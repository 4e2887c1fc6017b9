"""Idempotency keys: a request that a caller sends twice under one key is answered, and paid for, once."""
