"""What holds for every test."""

import os

from hypothesis import settings

# Threads of OpenMP that wait for work must sleep: several test processes share few cores. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The same examples on every run and machine: a red run must be red for a change, not for luck.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
