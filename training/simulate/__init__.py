"""Simulates a gateway: it replays a graded corpus as traffic and shows only the grade of the drawn lane."""
