"""The network that training fits: its input, its loss, its calibration and its out-of-fold beliefs."""
