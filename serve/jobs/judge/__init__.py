"""Judging: a language model that the operator chooses grades logged answers, within a budget."""
