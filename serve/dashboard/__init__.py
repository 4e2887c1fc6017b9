"""The dashboard at `/`: pages rendered on the server from what the gateway logged, for people who run it."""
