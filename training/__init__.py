"""Offline: reads graded requests, fits the quality model, proves the export and measures it. Never imported by `serve`."""
