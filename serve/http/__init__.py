"""The HTTP doors: one endpoint a file, and the envelope that errors travel in."""
