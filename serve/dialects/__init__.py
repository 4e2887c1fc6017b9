"""Wire formats, one folder each, as pure functions: bytes or dicts in, typed values out; no network, no state, no log."""
