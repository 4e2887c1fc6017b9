"""The job that learns from logged requests: it reads a champion and logs, and writes a challenger with a verdict."""
