"""Routing policies: each maps the candidates of one request to probabilities. One policy a file; `registry` lists them."""
