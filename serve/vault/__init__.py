"""Secrets at rest: sealed by a data key of their account, which is wrapped by a master key that is not in the database."""
