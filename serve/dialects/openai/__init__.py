"""OpenAI's chat completions, spoken by callers and by most providers."""

NAME = "openai"
