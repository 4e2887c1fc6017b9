"""Logged answers graded by another language model, of the operator's choice and within the operator's budget."""
