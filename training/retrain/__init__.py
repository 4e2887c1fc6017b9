"""The job that learns from logged requests: a champion and its logs in, a challenger with a verdict out."""
