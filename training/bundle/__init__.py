"""Writes a fitted model as a bundle, proves the export and asks it about prompts."""
