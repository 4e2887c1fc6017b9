"""The HTTP endpoints, one in each file, and the envelopes of their errors."""
