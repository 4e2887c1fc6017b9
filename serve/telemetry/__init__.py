"""The log of attempts: recorder, writer thread, stored rows, their export and their erasure."""
