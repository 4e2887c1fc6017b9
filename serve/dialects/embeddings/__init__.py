"""OpenAI's embeddings, spoken by all providers of embeddings that we reach."""

NAME = "embeddings"
