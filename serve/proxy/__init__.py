"""The answer: walks the ranked lanes, one attempt at a time, until one of them answers."""
