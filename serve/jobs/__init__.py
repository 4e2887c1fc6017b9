"""What a command does besides serving: calibration, judging, the cost breakdown, local models."""
