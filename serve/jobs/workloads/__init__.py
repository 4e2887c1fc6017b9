"""The cost breakdown of four workloads of graded prompts.

It compares the cost of each provider alone with the cost of routing at equal quality.
"""
