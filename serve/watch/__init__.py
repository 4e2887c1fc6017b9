"""Compares predictions with what happens: changed lanes, drifting prompts, new prices. Off the request path."""
