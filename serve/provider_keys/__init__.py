"""Provider keys: the keys that accounts have at providers. Stored, tested, imported and turned into connections."""
