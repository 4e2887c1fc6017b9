"""Reads telemetry exports into logged requests."""
