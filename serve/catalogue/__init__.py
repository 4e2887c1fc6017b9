"""The catalogue: providers, models and prices, from the YAML rows in `data/` and from the package genai-prices.

It reads files and makes no network call.
"""
