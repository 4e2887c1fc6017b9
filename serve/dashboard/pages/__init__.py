"""The pages themselves: ordinary FastAPI endpoints that run in a thread."""
