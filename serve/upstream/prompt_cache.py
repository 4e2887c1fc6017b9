"""What a provider says of its prompt cache."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptCache:
    """How a provider caches prompts.

    Args:
        is_automatic: It caches every long prompt; False: only what the request marks, and the answer says how much that was.
        least_tokens: Shorter prompts are not cached.
        lifetime_s: For how long after its last use a prompt is kept.
    """

    is_automatic: bool
    least_tokens: int
    lifetime_s: float
