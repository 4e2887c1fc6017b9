"""Watches what the gateway believes against what comes of it: lanes that change, prompts that drift, prices that move. Off the request path."""
