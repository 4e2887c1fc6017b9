"""Graded prompts: the reader, the splits, the pools and the measures of routing on them."""
