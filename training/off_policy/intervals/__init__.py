"""How far an estimate may be luck. All work on conversations, whose requests are not independent of each other.

Each takes an `Estimate` and gives an interval of its own kind; the registry lists them. A difference of two estimates is an estimate.
"""
