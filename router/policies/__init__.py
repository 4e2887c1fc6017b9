"""Routing policies, one a file. Each maps the candidates of one request to probabilities; `registry` lists them."""
