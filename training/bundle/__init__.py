"""Writes a fitted model as a bundle, checks the export and asks a bundle about prompts."""
