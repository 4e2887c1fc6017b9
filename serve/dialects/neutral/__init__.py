"""The neutral form of requests and answers: one dialect is read into it, and another is written from it."""
