"""The vault: secrets in the database, sealed by a data key of their account.

The data keys are wrapped by a master key, which is not in the database.
"""
