"""A request that is sent twice under one idempotency key is answered, and paid for, once."""
