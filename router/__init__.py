"""The decision, pure: what a request looks like, which lanes may answer it, how good and how dear each would be, which one wins.

Nothing in here reads the network, a database, the clock, the environment or global randomness; callers pass those in.
"""
