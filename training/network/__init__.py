"""The network that is fitted: its input, its loss, its calibration and its out-of-fold beliefs."""
