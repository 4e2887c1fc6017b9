"""The cost breakdown: four workloads of graded prompts, what each provider alone would cost, and what routing costs at equal quality."""
