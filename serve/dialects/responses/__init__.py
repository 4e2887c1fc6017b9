"""OpenAI's Responses, stateless: the whole conversation comes with every request."""

NAME = "responses"
