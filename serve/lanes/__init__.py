"""The lanes of every account: how they are made, and what is remembered of each one.

What is made from what, in this order:

1. `capabilities` reads the names of capabilities in settings and catalogue.
2. `of_providers` and `of_servers` make a `LaneConnection` for every model that a provider key or a server of the
   operator reaches.
3. `assembler` gathers one account's connections, adds the sandbox or hosted lanes, and arranges them for the quality
   model (`no_quality_model` for lanes that make vectors).
4. `directory` holds the result, one account's lanes at one moment: the table that decisions see, the connections that
   attempts use, and the memory below.
5. `directories` finds the directory of an account. It is where lanes are replaced while requests are under way.

What a directory remembers of its lanes:

- `health`: which lanes rest. It asks `statistics` for speeds and failures, and `allowance` for what is left of the
  limits that `rate_limit_headers` read. `hosted_health` is for accounts that also use the operator's lanes.
- `warm_caches`: which lanes' prompt caches hold a conversation.
- `reasoning_affinity`: which lanes can read the reasoning of a conversation.

In the background: `fresh_signers` renews credentials, `metrics` shows all of this to Prometheus.
"""
