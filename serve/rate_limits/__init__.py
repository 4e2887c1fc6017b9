"""Limits of virtual keys: requests and tokens per minute, counted in this process or, for many processes, in Valkey."""
