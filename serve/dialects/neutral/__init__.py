"""A conversation and its answer in no provider's dialect: what one dialect is read into, and another is written from."""
