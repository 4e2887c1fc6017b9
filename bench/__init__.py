"""The benchmark: the gateway under load, compared with a plain proxy and LiteLLM in one run on one machine.

Run `python -m bench.run`.
"""
