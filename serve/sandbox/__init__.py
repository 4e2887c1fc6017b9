"""A simulated provider, clearly labelled. It has prices, latency and speed, but no language model and no account."""
