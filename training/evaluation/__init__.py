"""Measures a bundle on graded answers, compared with baselines and ablations."""
