"""The terms of a provider's prompt cache."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptCache:
    """How a provider caches prompts.

    Args:
        is_automatic: Whether every long prompt is cached. False: only the part that the request marks, and the answer
            says how long that part was.
        least_tokens: Length of the shortest prompt that is cached.
        lifetime_s: Seconds after its last use for which a prompt is kept.
    """

    is_automatic: bool
    least_tokens: int
    lifetime_s: float
