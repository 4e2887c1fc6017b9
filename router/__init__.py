"""The decision: which lane answers a request, by the expected quality, cost and latency of each lane that may.

This package is pure. It reads no network, database, clock, environment or global random state; callers pass those in.
"""
