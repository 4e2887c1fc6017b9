"""OpenAI's older completions of a text, spoken by callers; every lane answers them as a chat."""

NAME = "completions"
