"""The catalogue: providers, models and prices, from the YAML rows in `data/` and the package genai-prices. Reads files, calls nobody."""
