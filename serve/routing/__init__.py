"""The decision for one request: what is asked of the router, the lanes it may choose from, and what it chose."""
