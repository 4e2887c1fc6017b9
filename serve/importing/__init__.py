"""Brings keys over from elsewhere: a `.env` file, LiteLLM's `config.yaml`."""
