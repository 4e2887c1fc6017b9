"""Anthropic's Messages, spoken by its SDKs and by Claude-style agents, and by Anthropic itself."""

NAME = "anthropic"
