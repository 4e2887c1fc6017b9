"""The terms of a provider on one account: its limits and its prompt cache."""

from dataclasses import dataclass

from router.lane import Lane
from serve.upstream.prompt_cache import PromptCache


@dataclass(frozen=True, slots=True)
class UpstreamTerms:
    """The terms of one lane.

    Args:
        limits_each_model: Whether every model has limits of its own; False: all models of the account share them.
        requests_per_minute, tokens_per_minute: Limits that the operator set; None: those of the provider's headers.
        counts_max_output: Whether the provider counts the longest allowed answer when the request comes in, instead of
            the answer that it gives.
        prompt_cache: Terms of its prompt cache; None: it has none, or they are not known.
        organisation: Name of the organisation whose keys share the limits; None: the limits are the account's own.
    """

    limits_each_model: bool = False
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    counts_max_output: bool = False
    prompt_cache: PromptCache | None = None
    organisation: str | None = None

    def pool_of(self, lane: Lane) -> str:
        """Return the name of the pool that the lane's limits belong to; all keys of one organisation share it."""
        account = f"{lane.provider}/{self.organisation or lane.account}"
        return f"{account}/{lane.upstream_model}" if self.limits_each_model else account


NO_TERMS = UpstreamTerms()
