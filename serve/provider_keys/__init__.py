"""The provider keys that accounts own: stored, probed, imported and turned into connections."""
