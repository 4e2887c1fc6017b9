"""The lanes of every account: how they are assembled, and what is remembered of each (health, limits, warm caches)."""
