"""What works in the background for as long as the gateway runs: one supervisor starts it, restarts it and closes it."""
