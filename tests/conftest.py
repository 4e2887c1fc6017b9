"""What holds for every test."""

from hypothesis import settings

# The same examples on every run and machine: a red run must be red for a change, not for luck.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
