"""The benchmark: the gateway under load beside a plain proxy and LiteLLM, on one machine and in one run. `python -m bench.run`."""
