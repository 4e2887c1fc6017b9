"""Requests and tokens per minute of virtual keys: counted in this process, or for many in Valkey."""
