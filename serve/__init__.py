"""The gateway, online: endpoints in, dialects, upstream calls, telemetry. Asks `router` which lane answers."""
