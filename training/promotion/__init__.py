"""Decides whether a challenger may replace the champion, and keeps the registry of bundles."""
