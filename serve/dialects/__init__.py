"""Wire formats, one folder each, as pure code: bytes or dicts in, typed values out.

No network, no shared state, no log.
"""
