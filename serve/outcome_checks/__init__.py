"""What can be known of an answer without asking anybody: checked in memory, off the request's path, and written down as feedback."""
