"""A simulated provider, clearly labelled: prices, latency and speed of its own, no language model, no account anywhere."""
