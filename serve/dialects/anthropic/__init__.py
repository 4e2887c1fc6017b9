"""Anthropic's Messages, spoken by its SDKs, by agents made for Claude, and by Anthropic itself."""

NAME = "anthropic"
