"""Routing policies. Each maps the candidates of one request to probabilities; one policy a file; `registry` lists them."""
