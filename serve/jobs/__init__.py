"""The jobs of commands other than serving: calibration, judging, the cost breakdown, local models."""
