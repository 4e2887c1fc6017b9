"""Bundles that come and go while the gateway runs: which one decides, the swap, canaries and shadows."""
