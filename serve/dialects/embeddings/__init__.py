"""OpenAI's embeddings, spoken by everybody who offers any in its dialect."""

NAME = "embeddings"
